CREATE TABLE IF NOT EXISTS {performance} (
  model STRING NOT NULL,
  deployed_model_id STRING NOT NULL,
  baseline_id STRING NOT NULL,
  day TIMESTAMP NOT NULL,
  slice_column STRING NOT NULL,
  slice_value STRING NOT NULL,
  power INT64 NOT NULL,
  invalid INT64 NOT NULL,
  answered ARRAY<INT64>,
  due ARRAY<INT64>,
  labelled ARRAY<INT64>,
  positive ARRAY<INT64>,
  correct ARRAY<INT64>,
  score ARRAY<INT64>,
  label ARRAY<INT64>,
  loss ARRAY<INT64>,
  loss_sq ARRAY<INT64>,
  error ARRAY<INT64>,
  error_sq ARRAY<INT64>
)
PARTITION BY DATE(day)
CLUSTER BY model, deployed_model_id
OPTIONS (description = 'Answers and late labels by cell of the score: one row per prediction day, deployed model and slice.')
