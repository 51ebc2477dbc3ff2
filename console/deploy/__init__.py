"""``retrain deploy`` and ``retrain destroy``: an installation created, changed and taken away."""
