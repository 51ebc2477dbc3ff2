"""The doctor finds what is broken on purpose."""
