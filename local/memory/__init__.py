"""Every port kept in memory: what tests and examples run on when no server is worth starting."""
