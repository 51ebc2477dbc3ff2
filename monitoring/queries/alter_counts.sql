-- For a table that an earlier version created.
ALTER TABLE {counts} ADD COLUMN IF NOT EXISTS sampling_rate FLOAT64
