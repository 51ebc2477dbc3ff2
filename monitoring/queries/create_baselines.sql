CREATE TABLE IF NOT EXISTS {baselines} (
  model STRING NOT NULL,
  baseline_id STRING NOT NULL,
  feature STRING NOT NULL,
  definition STRING NOT NULL
)
CLUSTER BY model, baseline_id
OPTIONS (description = 'What the cells of drift_counts mean: edges or categories, and the training rows in each.')
