CREATE TABLE IF NOT EXISTS {counts} (
  model STRING NOT NULL,
  deployed_model_id STRING NOT NULL,
  baseline_id STRING NOT NULL,
  window_start TIMESTAMP NOT NULL,
  window_end TIMESTAMP NOT NULL,
  feature STRING NOT NULL,
  n INT64 NOT NULL,
  n_null INT64 NOT NULL,
  n_unparseable INT64 NOT NULL,
  n_unseen INT64 NOT NULL,
  n_low INT64 NOT NULL,
  n_high INT64 NOT NULL,
  counts ARRAY<INT64>,
  sum FLOAT64 NOT NULL,
  sum_sq FLOAT64 NOT NULL,
  sampling_rate FLOAT64
)
PARTITION BY DATE(window_start)
CLUSTER BY model, feature
OPTIONS (description = 'Logged requests as counts: one row per window, deployed model and feature.')
