-- One job, so that one reading of the table is what is exported, counted and fingerprinted.
CREATE TEMP TABLE frozen AS
WITH parted AS (
  SELECT
    {columns},
    {part} AS retrain_part
  FROM {table}
  WHERE {timestamp} >= @first
    AND {timestamp} < @until
    AND {label} IS NOT NULL
)
SELECT *
FROM parted
WHERE retrain_part IN ('train', 'eval')
   OR (retrain_part = 'test' AND {timestamp} >= @fresh);

EXPORT DATA OPTIONS (uri = {train_uri}, format = 'PARQUET', overwrite = TRUE) AS
SELECT * EXCEPT (retrain_part) FROM frozen WHERE retrain_part = 'train';

EXPORT DATA OPTIONS (uri = {eval_uri}, format = 'PARQUET', overwrite = TRUE) AS
SELECT * EXCEPT (retrain_part) FROM frozen WHERE retrain_part = 'eval';

EXPORT DATA OPTIONS (uri = {test_uri}, format = 'PARQUET', overwrite = TRUE) AS
SELECT * EXCEPT (retrain_part) FROM frozen WHERE retrain_part = 'test';

SELECT
  retrain_part AS part,
  COUNT(*) AS row_count,
  MIN({timestamp}) AS oldest,
  MAX({timestamp}) AS newest,
  BIT_XOR(FARM_FINGERPRINT(TO_JSON_STRING(frozen))) AS fingerprint
FROM frozen
GROUP BY retrain_part
ORDER BY retrain_part;
