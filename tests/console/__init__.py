"""The command line, through typer's runner, on local servers."""
