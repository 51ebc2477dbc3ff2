"""The page of a model's drift: one self-contained HTML file for phone and desk, light and dark."""
