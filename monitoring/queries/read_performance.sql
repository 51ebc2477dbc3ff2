-- The stored days of one model, kilobytes each.
SELECT
  day,
  slice_column,
  slice_value,
  power,
  invalid,
  answered,
  due,
  labelled,
  positive,
  correct,
  score,
  label,
  loss,
  loss_sq,
  error,
  error_sq
FROM {performance}
WHERE model = @model
  AND deployed_model_id = @deployed_model_id
  AND baseline_id = @baseline_id
  AND day >= @since
  AND day < @until
ORDER BY day, slice_column, slice_value
