"""What a range of commits asks to be delivered. Plain Python: it runs before anything is installed."""
