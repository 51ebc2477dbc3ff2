-- The stored counts of one model's windows under all its champions; how rows arrived is no feature.
SELECT
  baseline_id,
  deployed_model_id,
  window_start,
  feature,
  n,
  n_null,
  n_unparseable,
  n_unseen,
  n_low,
  n_high,
  counts,
  sum AS total,
  sum_sq AS total_sq,
  n * (1 / COALESCE(sampling_rate, 1) - 1) AS unlogged
FROM {counts}
WHERE model = @model
  AND window_start >= @since
  AND window_start < @until
  AND feature != '(arrivals)'
ORDER BY window_start, feature
