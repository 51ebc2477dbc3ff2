"""Programs for those who work on this project; nothing of it is deployed."""
