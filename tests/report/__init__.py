"""The page of a rehearsal."""
