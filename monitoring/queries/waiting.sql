SELECT
  {place} AS place,
  {deployed} AS deployed_model_id
FROM {log}
WHERE {at} >= @start
  AND {at} < @end
GROUP BY {deployed}
