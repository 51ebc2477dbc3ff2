-- One pass over the requests of whole windows: every feature of one deployed model as counts, and nothing but counts.
-- Each payload is parsed once. A request that was logged twice counts once. Windows are counted anew each time, so
-- running this again only changes a window whose rows came late.
MERGE {counts} AS kept
USING (
  WITH feature AS (
    SELECT
      CAST(JSON_VALUE(one, '$.place') AS INT64) AS place,
      JSON_VALUE(one, '$.name') AS name,
      JSON_VALUE(one, '$.kind') = 'numeric' AS is_numeric,
      CAST(JSON_VALUE(one, '$.cells') AS INT64) AS cells,
      CAST(JSON_VALUE(one, '$.low') AS FLOAT64) AS low,
      CAST(JSON_VALUE(one, '$.high') AS FLOAT64) AS high,
      JSON_VALUE(one, '$.complete') = 'true' AS is_complete,
      ARRAY(
        SELECT CAST(edge AS FLOAT64) FROM UNNEST(JSON_VALUE_ARRAY(one, '$.edges')) AS edge WITH OFFSET AS o ORDER BY o
      ) AS edges,
      ARRAY(SELECT CAST(value AS FLOAT64) FROM UNNEST(JSON_VALUE_ARRAY(one, '$.values')) AS value) AS known_values
    FROM UNNEST(JSON_QUERY_ARRAY(@features)) AS one
  ),
  category AS (
    SELECT
      CAST(JSON_VALUE(one, '$.place') AS INT64) AS place,
      JSON_VALUE(one, '$.value') AS value,
      CAST(JSON_VALUE(one, '$.cell') AS INT64) AS cell
    FROM UNNEST(JSON_QUERY_ARRAY(@categories)) AS one
  ),
  logged AS (
    SELECT
      TIMESTAMP_TRUNC(logging_time, {unit}) AS window_start,
      request_payload,
      response_payload
    FROM {log}
    WHERE logging_time >= @start
      AND logging_time < @end
      AND deployed_model_id = @deployed_model_id
    QUALIFY request_id IS NULL OR ROW_NUMBER() OVER (PARTITION BY request_id ORDER BY logging_time) = 1
  ),
  instance AS (
    SELECT
      window_start,
      {parser}(request) AS request,
      {parser}(response) AS response,
      response IS NULL AS is_unanswered
    FROM logged,
      UNNEST(request_payload) AS request WITH OFFSET AS request_place
    LEFT JOIN UNNEST(response_payload) AS response WITH OFFSET AS response_place
      ON response_place = request_place
  ),
  typed AS (
    SELECT
      *,
      COALESCE(JSON_TYPE(request), '') != 'object' AS is_broken
    FROM instance
  ),
  long AS (
    SELECT
      typed.window_start,
      value.place,
      value.is_broken,
      NULLIF(value.text, '') AS text
    FROM typed,
      UNNEST([
        {values}
      ]) AS value
  ),
  number AS (
    SELECT
      long.*,
      feature.is_numeric,
      feature.is_complete,
      feature.cells,
      feature.edges,
      feature.known_values,
      feature.low,
      feature.high,
      IF(feature.is_numeric AND NOT long.is_broken, SAFE_CAST(long.text AS FLOAT64), NULL) AS x
    FROM long
    JOIN feature ON feature.place = long.place
  ),
  cell AS (
    SELECT
      number.window_start,
      number.place,
      CASE
        WHEN number.is_broken THEN -2
        WHEN number.text IS NULL THEN -1
        WHEN number.is_numeric AND (x IS NULL OR IS_NAN(x) OR IS_INF(x)) THEN -2
        WHEN number.is_numeric THEN RANGE_BUCKET(x, number.edges)
        ELSE COALESCE(category.cell, number.cells - 1)
      END AS cell,
      IF(IS_NAN(x) OR IS_INF(x), NULL, x) AS x,
      CASE
        WHEN NOT number.is_complete OR number.is_broken OR number.text IS NULL THEN FALSE
        WHEN number.is_numeric THEN NOT (
          IS_NAN(x) OR IS_INF(x)
          -- The training rows were read as 32-bit numbers.
          OR EXISTS (SELECT 1 FROM UNNEST(number.known_values) AS known WHERE ABS(x - known) <= 1.2e-7 * ABS(known))
        )
        ELSE category.cell IS NULL
      END AS is_unseen,
      COALESCE(x < number.low, FALSE) AND NOT IS_INF(x) AS is_low,
      COALESCE(x > number.high, FALSE) AND NOT (IS_NAN(x) OR IS_INF(x)) AS is_high
    FROM number
    LEFT JOIN category ON category.place = number.place AND category.value = number.text
  ),
  counted AS (
    SELECT
      window_start,
      place,
      cell,
      COUNT(*) AS n,
      COUNTIF(is_unseen) AS n_unseen,
      COUNTIF(is_low) AS n_low,
      COUNTIF(is_high) AS n_high,
      SUM(x) AS total,
      SUM(x * x) AS total_sq
    FROM cell
    GROUP BY window_start, place, cell
  ),
  grid AS (
    SELECT
      window_start,
      feature.place,
      feature.name,
      cell
    FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@start, @last, INTERVAL 1 {unit})) AS window_start,
      feature,
      UNNEST(GENERATE_ARRAY(-2, feature.cells - 1)) AS cell
  )
  SELECT
    grid.window_start,
    grid.name AS feature,
    COALESCE(SUM(counted.n), 0) AS n,
    COALESCE(SUM(IF(grid.cell = -1, counted.n, 0)), 0) AS n_null,
    COALESCE(SUM(IF(grid.cell = -2, counted.n, 0)), 0) AS n_unparseable,
    COALESCE(SUM(counted.n_unseen), 0) AS n_unseen,
    COALESCE(SUM(counted.n_low), 0) AS n_low,
    COALESCE(SUM(counted.n_high), 0) AS n_high,
    ARRAY_AGG(IF(grid.cell >= 0, COALESCE(counted.n, 0), NULL) IGNORE NULLS ORDER BY grid.cell) AS counts,
    COALESCE(SUM(counted.total), 0) AS total,
    COALESCE(SUM(counted.total_sq), 0) AS total_sq
  FROM grid
  LEFT JOIN counted
    ON counted.window_start = grid.window_start AND counted.place = grid.place AND counted.cell = grid.cell
  GROUP BY grid.window_start, grid.name
) AS fresh
ON kept.model = @model
  AND kept.deployed_model_id = @deployed_model_id
  AND kept.baseline_id = @baseline_id
  AND kept.window_start = fresh.window_start
  AND kept.window_start >= @start
  AND kept.window_start < @end
  AND kept.feature = fresh.feature
WHEN MATCHED THEN UPDATE SET
  n = fresh.n,
  n_null = fresh.n_null,
  n_unparseable = fresh.n_unparseable,
  n_unseen = fresh.n_unseen,
  n_low = fresh.n_low,
  n_high = fresh.n_high,
  counts = fresh.counts,
  sum = fresh.total,
  sum_sq = fresh.total_sq
WHEN NOT MATCHED THEN INSERT (
  model, deployed_model_id, baseline_id, window_start, window_end, feature,
  n, n_null, n_unparseable, n_unseen, n_low, n_high, counts, sum, sum_sq
) VALUES (
  @model, @deployed_model_id, @baseline_id, fresh.window_start,
  TIMESTAMP_ADD(fresh.window_start, INTERVAL 1 {unit}), fresh.feature,
  fresh.n, fresh.n_null, fresh.n_unparseable, fresh.n_unseen, fresh.n_low, fresh.n_high,
  fresh.counts, fresh.total, fresh.total_sq
)
