"""What holds for every engine, whatever it moves."""

from datetime import timedelta

STALL = timedelta(minutes=15)
"""The longest a tick can live, and then some: a function is ended after nine minutes. Whatever ends is looked after
for so long, because a tick that read the world before the end may still act on what it read."""
