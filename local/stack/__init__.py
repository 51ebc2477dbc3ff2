"""Everything on one machine: start the local servers, create what the cloud would hold, and stop it all again.

``Stack`` is for programs, ``python -m local.stack`` is the supervisor that it and ``retrain local`` start.
"""
