-- Answers of whole prediction days beside the labels that have come: counts by cell of the score, and sums in
-- millionths. Days are counted anew each time, so that a late label changes its own day and running this again changes
-- nothing. A label counts only where it is due. A key that was asked again on the same day counts once.
MERGE {performance} AS kept
USING (
  WITH edge AS (
    SELECT ARRAY_AGG(CAST(value AS FLOAT64) ORDER BY place) AS edges
    FROM UNNEST(JSON_VALUE_ARRAY(@edges)) AS value WITH OFFSET AS place
  ),
  category AS (
    SELECT value, cell
    FROM UNNEST(JSON_VALUE_ARRAY(@categories)) AS value WITH OFFSET AS cell
  ),
  listed AS (
    SELECT
      JSON_VALUE(one, '$.column') AS slice_column,
      JSON_VALUE(one, '$.value') AS slice_value
    FROM UNNEST(JSON_QUERY_ARRAY(@slices)) AS one
  ),
  logged AS (
    SELECT
      TIMESTAMP_TRUNC(logging_time, DAY) AS day,
      logging_time,
      request_id,
      place,
      {parser}(request) AS request,
      {parser}(response) AS response
    FROM {log},
      UNNEST(request_payload) AS request WITH OFFSET AS place
    LEFT JOIN UNNEST(response_payload) AS response WITH OFFSET AS answer_place
      ON answer_place = place
    WHERE logging_time >= @start
      AND logging_time < @end
      AND deployed_model_id = @deployed_model_id
  ),
  keyed AS (
    SELECT
      *,
      JSON_VALUE(request, '$.{key}') AS row_key
    FROM logged
  ),
  once AS (
    SELECT
      *,
      {score} AS score,
      {class} AS class
    FROM keyed
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY
        day,
        row_key,
        IF(row_key IS NULL, CONCAT(CAST(request_id AS STRING), '/', CAST(place AS STRING)), '')
      ORDER BY logging_time, request_id, place
    ) = 1
  ),
  answer AS (
    SELECT
      *,
      COALESCE({valid}, FALSE) AS is_valid,
      logging_time < @due_before AS is_due
    FROM once
  ),
  labels AS (
    SELECT
      CAST(`{key}` AS STRING) AS row_key,
      MAX(CAST(`{label}` AS {label_type})) AS label
    FROM {table}
    WHERE `{timestamp}` >= @labels_from
      AND `{timestamp}` < @labels_to
      AND `{label}` IS NOT NULL
    GROUP BY row_key
  ),
  joined AS (
    SELECT
      answer.*,
      CASE
        WHEN NOT answer.is_valid THEN -1
        ELSE {cell}
      END AS cell,
      labels.row_key IS NOT NULL AND answer.is_due AND answer.is_valid AS is_labelled,
      labels.label
    FROM answer
    CROSS JOIN edge
    LEFT JOIN category ON category.value = answer.class
    LEFT JOIN labels ON labels.row_key = answer.row_key
  ),
  compared AS (
    SELECT
      *,
      {said} AS said,
      IF(is_labelled, {truth}, NULL) AS truth
    FROM joined
  ),
  outcome AS (
    SELECT
      *,
      {loss} AS loss,
      {error} AS error
    FROM compared
  ),
  parted AS (
    SELECT
      outcome.*,
      slice.slice_column AS of_column,
      slice.slice_value AS of_value
    FROM outcome,
      UNNEST([
        {slices}
      ]) AS slice
  ),
  sliced AS (
    SELECT
      parted.*,
      of_column AS slice_column,
      CASE
        WHEN of_column = '' THEN ''
        ELSE COALESCE(listed.slice_value, '(other)')
      END AS slice_value
    FROM parted
    LEFT JOIN listed ON listed.slice_column = parted.of_column AND listed.slice_value = parted.of_value
  ),
  counted AS (
    SELECT
      day,
      slice_column,
      slice_value,
      cell,
      COUNT(*) AS answered,
      COUNTIF(is_due AND is_valid) AS due,
      COUNTIF(is_labelled) AS labelled,
      COUNTIF(is_labelled AND {positive}) AS positive,
      COUNTIF(is_labelled AND {correct}) AS correct,
      COALESCE(SUM(IF(is_labelled, CAST(ROUND(1e6 * said) AS INT64), 0)), 0) AS score,
      COALESCE(SUM(CAST(ROUND(1e6 * truth) AS INT64)), 0) AS label,
      COALESCE(SUM(CAST(ROUND(1e6 * loss) AS INT64)), 0) AS loss,
      COALESCE(SUM(CAST(ROUND(1e6 * loss * loss) AS INT64)), 0) AS loss_sq,
      COALESCE(SUM(CAST(ROUND(1e6 * error) AS INT64)), 0) AS error,
      COALESCE(SUM(CAST(ROUND(1e6 * error * error) AS INT64)), 0) AS error_sq
    FROM sliced
    GROUP BY day, slice_column, slice_value, cell
  ),
  grid AS (
    SELECT
      day,
      slice_column,
      slice_value,
      cell
    FROM (SELECT DISTINCT day, slice_column, slice_value FROM counted) AS found,
      UNNEST(GENERATE_ARRAY(-1, @cells - 1)) AS cell
  )
  SELECT
    grid.day,
    grid.slice_column,
    grid.slice_value,
    COALESCE(SUM(IF(grid.cell = -1, counted.answered, 0)), 0) AS invalid,
    {arrays}
  FROM grid
  LEFT JOIN counted
    ON counted.day = grid.day
    AND counted.slice_column = grid.slice_column
    AND counted.slice_value = grid.slice_value
    AND counted.cell = grid.cell
  GROUP BY grid.day, grid.slice_column, grid.slice_value
) AS fresh
ON kept.model = @model
  AND kept.deployed_model_id = @deployed_model_id
  AND kept.baseline_id = @baseline_id
  AND kept.day = fresh.day
  AND kept.day >= @start
  AND kept.day < @end
  AND kept.slice_column = fresh.slice_column
  AND kept.slice_value = fresh.slice_value
WHEN MATCHED THEN UPDATE SET
  power = @power,
  invalid = fresh.invalid,
  {updates}
WHEN NOT MATCHED THEN INSERT (
  model, deployed_model_id, baseline_id, day, slice_column, slice_value, power, invalid,
  {columns}
) VALUES (
  @model, @deployed_model_id, @baseline_id, fresh.day, fresh.slice_column, fresh.slice_value, @power, fresh.invalid,
  {inserts}
)
