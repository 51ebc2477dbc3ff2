-- How the rows of whole windows arrived: how many, how many of them again, when the last one came, and which names in
-- the payloads nobody knows. A row comes again when its key, or where it has none its request, was logged before.
WITH logged AS (
  SELECT
    TIMESTAMP_TRUNC(logging_time, {unit}) AS window_start,
    logging_time,
    CAST(request_id AS STRING) AS request_id,
    place,
    {parser}(request) AS request
  FROM {log},
    UNNEST(request_payload) AS request WITH OFFSET AS place
  WHERE logging_time >= @start
    AND logging_time < @end
    AND deployed_model_id = @deployed_model_id
),
known AS (
  SELECT name
  FROM UNNEST(JSON_VALUE_ARRAY(@names)) AS name
),
arrived AS (
  SELECT
    window_start,
    COUNT(*) AS row_count,
    COUNT(DISTINCT COALESCE(JSON_VALUE(request, '$.{key}'), CONCAT(request_id, '/', CAST(place AS STRING))))
    + COUNTIF(JSON_VALUE(request, '$.{key}') IS NULL AND request_id IS NULL) AS different,
    MAX(logging_time) AS newest
  FROM logged
  GROUP BY window_start
),
named AS (
  SELECT
    window_start,
    name,
    COUNT(*) AS row_count
  FROM logged,
    UNNEST(JSON_KEYS(request, 1)) AS name
  WHERE name NOT IN (SELECT name FROM known)
  GROUP BY window_start, name
),
unknown AS (
  SELECT
    window_start,
    ARRAY_AGG(name ORDER BY row_count DESC, name LIMIT 10) AS names,
    ARRAY_AGG(row_count ORDER BY row_count DESC, name LIMIT 10) AS name_rows
  FROM named
  GROUP BY window_start
)
SELECT
  arrived.window_start,
  arrived.row_count,
  arrived.row_count - arrived.different AS repeats,
  arrived.newest,
  unknown.names,
  unknown.name_rows
FROM arrived
LEFT JOIN unknown ON unknown.window_start = arrived.window_start
ORDER BY arrived.window_start
