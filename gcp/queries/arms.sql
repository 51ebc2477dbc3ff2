-- What each deployed model answered, and how far off it was where the label was due and has come. The log holds one
-- element per instance in both arrays; an instance that was sent again counts once per deployed model. Requests are
-- counted as they came, because the traffic split draws each of them, and again when it is sent again.
WITH logged AS (
  SELECT
    deployed_model_id,
    logging_time,
    request_id,
    place,
    SAFE.PARSE_JSON(request, wide_number_mode => 'round') AS request,
    SAFE.PARSE_JSON(response, wide_number_mode => 'round') AS response
  FROM {log},
    UNNEST(request_payload) AS request WITH OFFSET AS place,
    UNNEST(response_payload) AS response WITH OFFSET AS answer_place
  WHERE logging_time >= @since
    AND logging_time < @until
    AND answer_place = place
),
keyed AS (
  SELECT
    *,
    JSON_VALUE(request, {key_path}) AS row_key
  FROM logged
),
once AS (
  SELECT
    *,
    {score} AS score
  FROM keyed
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY
      deployed_model_id,
      row_key,
      IF(row_key IS NULL, CONCAT(CAST(request_id AS STRING), '/', CAST(place AS STRING)), '')
    ORDER BY logging_time, request_id, place
  ) = 1
),
labels AS (
  SELECT
    CAST({key} AS STRING) AS row_key,
    ANY_VALUE(CAST({label} AS {label_type})) AS label
  FROM {table}
  WHERE {timestamp} >= @labels_from
    AND {timestamp} < @labels_to
    AND {label} IS NOT NULL
  GROUP BY row_key
),
answered AS (
  SELECT
    deployed_model_id,
    COUNT(DISTINCT request_id) AS requests
  FROM logged
  GROUP BY deployed_model_id
),
judged AS (
  SELECT
    once.deployed_model_id,
    once.logging_time,
    once.score,
    COALESCE({valid}, FALSE) AS valid,
    once.logging_time < @due_before AND COALESCE({valid}, FALSE) AS due,
    IF(
      labels.row_key IS NOT NULL
      AND once.logging_time < @due_before
      AND COALESCE({valid}, FALSE),
      {loss},
      NULL
    ) AS loss
  FROM once
  LEFT JOIN labels ON labels.row_key = once.row_key
)
SELECT
  deployed_model_id,
  COUNT(*) AS row_count,
  COUNTIF(NOT valid) AS invalid,
  AVG(IF(valid, score, NULL)) AS mean_score,
  COUNTIF(loss IS NOT NULL) AS labelled,
  COALESCE(SUM(loss), 0) AS loss_sum,
  COALESCE(SUM(loss * loss), 0) AS loss_sq_sum,
  MAX(logging_time) AS last_at,
  COUNTIF(due) AS due,
  ANY_VALUE(answered.requests) AS requests
FROM judged
JOIN answered USING (deployed_model_id)
GROUP BY deployed_model_id
