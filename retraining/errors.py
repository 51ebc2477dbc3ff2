"""Every error this system raises on purpose, and whether another attempt can help.

RetrainingError
├── Permanent            the same call will fail again: acknowledge the message, tell a person
│   ├── BadMessage       a message that cannot be understood or is not allowed
│   ├── BadConfig        a model file or a setting that cannot be used
│   ├── BadRecord        a stored record that this version cannot read
│   └── Refused          an outside service understood the request and refused it
├── Temporary            another attempt may succeed, for example because an outside service failed
│   └── NewerRecord      a stored record that only a newer release understands
└── Conflict             somebody else wrote first: read again, then decide again
    └── Exists           the thing to create is already there
"""


class RetrainingError(Exception):
    """Base of all errors of this system."""


class Permanent(RetrainingError):
    """The same call will fail again, so it must not be repeated unchanged."""


class BadMessage(Permanent):
    """A message cannot be understood or is not allowed; it belongs in quarantine."""


class BadConfig(Permanent):
    """A model file or a setting is wrong; the text names field, expectation and what came."""


class BadRecord(Permanent):
    """A stored record is not what this version writes."""


class Refused(Permanent):
    """An outside service understood the request and refused it."""


class Temporary(RetrainingError):
    """Another attempt may succeed: an outside service failed in such a way, or somebody else can do it."""


class NewerRecord(Temporary):
    """A stored record is of a newer release: this one leaves it alone, and the newer one goes on with it."""


class Conflict(RetrainingError):
    """The record changed since it was read."""


class Exists(Conflict):
    """The record to create is already there."""
