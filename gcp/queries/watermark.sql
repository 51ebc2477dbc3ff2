-- How far the labelled rows reach, and how many came after @since.
SELECT
  MAX({timestamp}) AS newest,
  COUNTIF({timestamp} > @since) AS new_rows
FROM {table}
WHERE {timestamp} >= @since
  AND {timestamp} <= @now
  AND {label} IS NOT NULL
