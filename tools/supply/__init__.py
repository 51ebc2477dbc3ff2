"""What is built from, and whether it may be: known vulnerabilities, licences, and a list of all parts."""
