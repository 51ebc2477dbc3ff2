"""Who calls what: every account of the system gets addresses of its own, and what passes there is written down.

The production code is not touched. A local server cannot know who calls it; the address by which it is reached can.
"""
