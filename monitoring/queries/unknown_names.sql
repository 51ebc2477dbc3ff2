-- Which names in the payloads of one window nobody knows. Asked only where a broken feed wants an explanation.
WITH logged AS (
{logged}
)
SELECT name, COUNT(*) AS row_count
FROM logged,
  UNNEST(request_payload) AS request,
  UNNEST(JSON_KEYS({parser}(request), 1)) AS name
WHERE name NOT IN UNNEST(JSON_VALUE_ARRAY(@names))
GROUP BY name
ORDER BY row_count DESC, name
LIMIT 10
