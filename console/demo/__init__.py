"""``retrain demo``: the rehearsal with a display, and at its end a summary and a page."""
