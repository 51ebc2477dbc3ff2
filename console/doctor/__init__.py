"""``retrain doctor``: compare what an installation has with what it must have, and say how to mend it.

``wanted.py`` says what must be there, ``gcp/installation.py`` and ``gcp/google_rest.py`` read what is; the checks
between them are pure functions, a module for each subject; ``checks.py`` brings them together.
"""
