SELECT
  JSON_VALUE(line, '$.run_id') AS run_id,
  JSON_VALUE(line, '$.model') AS model,
  JSON_VALUE(line, '$.state') AS state,
  JSON_VALUE(line, '$.causes[0].kind') AS first_cause,
  JSON_VALUE(line, '$.decision.code') AS decision,
  JSON_VALUE(line, '$.decision.text') AS because,
  TIMESTAMP(JSON_VALUE(line, '$.opened')) AS opened,
  TIMESTAMP(JSON_VALUE(line, '$.entered')) AS entered,
  JSON_VALUE(line, '$.snapshot.digest') AS data_digest,
  JSON_VALUE(line, '$.manifest_digest') AS model_digest,
  NULLIF(JSON_VALUE(line, '$.champion_run'), '') AS compared_with,
  CAST(JSON_VALUE(line, '$.spent') AS FLOAT64) AS spent
FROM `${files}`
