"""What the container's jobs refuse, each with one clear line and exit code 2: running them again would not help."""


class Unusable(Exception):
    """Data, arguments or results that no repetition would cure."""
