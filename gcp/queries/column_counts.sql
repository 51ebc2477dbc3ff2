COUNTIF(retrain_period = 0 AND {column} IS NULL) AS {alias}_nulls,
  APPROX_COUNT_DISTINCT(IF(retrain_period = 0, {column}, NULL)) AS {alias}_distinct,
  AVG(IF(retrain_period = 0, {size}, NULL)) AS {alias}_mean_abs,
  SAFE_DIVIDE(COUNTIF(retrain_period > 0 AND {column} IS NULL), COUNTIF(retrain_period > 0)) AS {alias}_usual_nulls,
  AVG(IF(retrain_period > 0, {size}, NULL)) AS {alias}_usual_mean_abs
