-- One scan over the rows to judge (period 0) and ordinary earlier ones (periods 1 to 4): each earlier period
-- is as long as the first and lies whole weeks before it, so that it covers the same weekdays.
WITH placed AS (
  SELECT
    {columns},
    DIV(TIMESTAMP_DIFF(@last, {timestamp}, MICROSECOND), @stride) AS retrain_period
  FROM {table}
  WHERE {timestamp} >= @oldest
    AND {timestamp} < @until
    AND MOD(TIMESTAMP_DIFF(@last, {timestamp}, MICROSECOND), @stride) < @length
)
SELECT
  COUNTIF(retrain_period = 0) AS row_count,
  COUNTIF(retrain_period > 0) AS usual_rows,
  COUNT(DISTINCT IF(retrain_period > 0, retrain_period, NULL)) AS usual_periods,
  MAX(IF(retrain_period = 0, {timestamp}, NULL)) AS newest,
  (
    SELECT COALESCE(SUM(copies), 0)
    FROM (
      SELECT COUNT(*) AS copies
      FROM {table}
      WHERE {timestamp} >= @since
        AND {timestamp} < @until
      GROUP BY {key}
      HAVING COUNT(*) > 1
    )
  ) AS duplicates,
  COUNTIF(retrain_period = 0 AND {timestamp} < @mature) AS mature_rows,
  COUNTIF(retrain_period = 0 AND {timestamp} < @mature AND {label} IS NOT NULL) AS labelled_rows,
  AVG(IF(retrain_period = 0, {label_number}, NULL)) AS label_mean,
  AVG(IF(retrain_period > 0, {label_number}, NULL)) AS usual_label_mean,
  {column_counts}
FROM placed
