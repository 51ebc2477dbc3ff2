"""The story of a run, and what people may do, on the cloud in memory."""
