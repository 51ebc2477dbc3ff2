SELECT
  TIMESTAMP(JSON_VALUE(line, '$.at')) AS at,
  JSON_VALUE(line, '$.what') AS what,
  JSON_VALUE(line, '$.model') AS model,
  NULLIF(JSON_VALUE(line, '$.run_id'), '') AS run_id,
  JSON_QUERY(line, '$.details') AS details
FROM `${files}`
