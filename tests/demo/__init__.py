"""How a rehearsal is judged."""
