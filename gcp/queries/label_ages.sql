-- How old rows are, in hours, and how many of each age have a label: when labels come, as the table itself tells.
SELECT
  TIMESTAMP_DIFF(@now, {timestamp}, HOUR) AS age_hours,
  COUNT(*) AS row_count,
  COUNTIF({label} IS NOT NULL) AS labelled,
  MAX({timestamp}) AS newest,
  MAX(IF({label} IS NOT NULL, {timestamp}, NULL)) AS newest_labelled
FROM {table}
WHERE {timestamp} >= @since
  AND {timestamp} < @now
GROUP BY age_hours
ORDER BY age_hours
