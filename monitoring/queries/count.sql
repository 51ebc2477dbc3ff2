-- One pass over the requests of whole windows: all deployed models of one log, every series as counts, nothing else.
-- Each payload is parsed once; pairs come from the cells of their members. A request that was logged twice counts
-- once. Windows are counted anew each time, so running this again only changes a window whose rows came late.
-- The series (arrivals) says how rows came, copies too: in which 24th of the window, how many of them again (unseen),
-- and how many hold a name that nobody knows (high).
MERGE {counts} AS kept
USING (
  WITH subject AS (
    SELECT
      place,
      JSON_VALUE(one, '$.model') AS model,
      JSON_VALUE(one, '$.deployed_model_id') AS deployed_model_id,
      JSON_VALUE(one, '$.baseline_id') AS baseline_id,
      CAST(JSON_VALUE(one, '$.shape') AS INT64) AS shape,
      JSON_VALUE(one, '$.payload') AS payload,
      JSON_VALUE_ARRAY(one, '$.names') AS names,
      CAST(JSON_VALUE(one, '$.sampling_rate') AS FLOAT64) AS sampling_rate,
      JSON_QUERY_ARRAY(one, '$.series') AS series,
      JSON_QUERY_ARRAY(one, '$.pairs') AS pairs
    FROM UNNEST(JSON_QUERY_ARRAY(@subjects)) AS one WITH OFFSET AS place
  ),
  series AS (
    SELECT
      subject.place AS subject,
      offset_ AS place,
      JSON_VALUE(one, '$.name') AS name,
      JSON_VALUE(one, '$.kind') = 'numeric' AS is_numeric,
      CAST(JSON_VALUE(one, '$.cells') AS INT64) AS cells,
      JSON_VALUE(one, '$.complete') = 'true' AS is_complete,
      CAST(JSON_VALUE(one, '$.low') AS FLOAT64) AS low,
      CAST(JSON_VALUE(one, '$.high') AS FLOAT64) AS high,
      JSON_QUERY(one, '$.categories') AS categories,
      ARRAY(
        SELECT CAST(edge AS FLOAT64)
        FROM UNNEST(JSON_VALUE_ARRAY(one, '$.edges')) AS edge WITH OFFSET AS o ORDER BY o
      ) AS edges,
      ARRAY(
        SELECT CAST(known AS FLOAT64)
        FROM UNNEST(JSON_VALUE_ARRAY(one, '$.values')) AS known WITH OFFSET AS o ORDER BY o
      ) AS known
    FROM subject, UNNEST(subject.series) AS one WITH OFFSET AS offset_
  ),
  category AS (
    -- Those that the baseline lists without a cell of their own are in the last one.
    SELECT
      series.subject,
      series.place,
      value,
      LEAST(cell, series.cells - 1) AS cell
    FROM series, UNNEST(JSON_VALUE_ARRAY(series.categories, '$')) AS value WITH OFFSET AS cell
  ),
  item AS (
    -- What is counted: series by their own cells, pairs by the cells of two, and how rows arrived.
    SELECT
      series.subject,
      series.place,
      series.name,
      series.cells,
      series.place AS first,
      CAST(NULL AS INT64) AS second,
      CAST([] AS ARRAY<INT64>) AS first_quarters,
      CAST([] AS ARRAY<INT64>) AS second_quarters
    FROM series
    UNION ALL
    SELECT
      subject.place AS subject,
      CAST(JSON_VALUE(one, '$.place') AS INT64) AS place,
      JSON_VALUE(one, '$.name') AS name,
      16 AS cells,
      CAST(JSON_VALUE(one, '$.first') AS INT64) AS first,
      CAST(JSON_VALUE(one, '$.second') AS INT64) AS second,
      ARRAY(
        SELECT CAST(quarter AS INT64)
        FROM UNNEST(JSON_VALUE_ARRAY(one, '$.first_quarters')) AS quarter WITH OFFSET AS o ORDER BY o
      ) AS first_quarters,
      ARRAY(
        SELECT CAST(quarter AS INT64)
        FROM UNNEST(JSON_VALUE_ARRAY(one, '$.second_quarters')) AS quarter WITH OFFSET AS o ORDER BY o
      ) AS second_quarters
    FROM subject, UNNEST(subject.pairs) AS one
    UNION ALL
    SELECT
      subject.place AS subject,
      arrival AS place,
      '(arrivals)' AS name,
      24 AS cells,
      CAST(NULL AS INT64) AS first,
      CAST(NULL AS INT64) AS second,
      CAST([] AS ARRAY<INT64>) AS first_quarters,
      CAST([] AS ARRAY<INT64>) AS second_quarters
    FROM subject, UNNEST([-1, -2]) AS arrival
  ),
  logged AS (
{logged}
  ),
  instance AS (
    SELECT
      logging_time,
      deployed_model_id,
      is_copy,
      CONCAT(request_id, '/', CAST(request_place AS STRING)) AS row_id,
      {parser}(request) AS request,
      {parser}(response) AS response,
      response IS NULL AS is_unanswered
    FROM logged,
      UNNEST(request_payload) AS request WITH OFFSET AS request_place
    LEFT JOIN UNNEST(response_payload) AS response WITH OFFSET AS response_place
      ON response_place = request_place
  ),
  drawn AS (
    SELECT
      GENERATE_UUID() AS row_number,
      TIMESTAMP_TRUNC(instance.logging_time, {unit}) AS window_start,
      instance.logging_time,
      subject.place AS subject,
      subject.shape,
      instance.is_copy,
      instance.row_id,
      EXISTS(
        SELECT 1 FROM UNNEST(JSON_KEYS(request, 1)) AS name WHERE name NOT IN UNNEST(subject.names)
      ) AS has_unknown_name,
      COALESCE(JSON_TYPE(request), '') != subject.payload AS is_broken,
      response IS NULL AND NOT is_unanswered AS is_unreadable,
      CASE subject.shape
        {inputs}
      END AS inputs
    FROM instance
    JOIN subject ON subject.deployed_model_id = instance.deployed_model_id
  ),
  valued AS (
    SELECT
      row_number,
      window_start,
      subject,
      is_copy,
      has_unknown_name,
      DIV((UNIX_MICROS(logging_time) - UNIX_MICROS(window_start)), @piece) AS piece,
      COALESCE(inputs[SAFE_ORDINAL(ARRAY_LENGTH(inputs))], row_id) AS key,
      CASE shape
        {values}
      END AS found
    FROM drawn
  ),
  long AS (
    SELECT
      valued.row_number,
      valued.window_start,
      valued.subject,
      valued.is_copy,
      valued.has_unknown_name,
      valued.piece,
      valued.key,
      place,
      value.is_broken,
      NULLIF(value.text, '') AS text
    FROM valued, UNNEST(valued.found) AS value WITH OFFSET AS place
  ),
  number AS (
    SELECT
      long.*,
      series.is_numeric,
      series.is_complete,
      series.cells,
      series.edges,
      series.known,
      series.low,
      series.high,
      IF(series.is_numeric AND NOT long.is_broken, SAFE_CAST(long.text AS FLOAT64), NULL) AS x
    FROM long
    JOIN series ON series.subject = long.subject AND series.place = long.place
  ),
  whole AS (
    -- One row per instance again, with the cell of each series.
    SELECT
      ANY_VALUE(number.window_start) AS window_start,
      ANY_VALUE(number.subject) AS subject,
      ANY_VALUE(number.is_copy) AS is_copy,
      ANY_VALUE(number.has_unknown_name) AS has_unknown_name,
      ANY_VALUE(number.piece) AS piece,
      ANY_VALUE(number.key) AS key,
      ARRAY_AGG(
        STRUCT(
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
              -- A known value lies around it: the training rows were read as 32-bit numbers.
              OR RANGE_BUCKET(x + 1.2e-7 * ABS(x), number.known)
              > RANGE_BUCKET(x - 1.2e-7 * ABS(x) - 1e-300, number.known)
            )
            ELSE category.cell IS NULL
          END AS is_unseen,
          COALESCE(x < number.low, FALSE) AND NOT IS_INF(x) AS is_low,
          COALESCE(x > number.high, FALSE) AND NOT (IS_NAN(x) OR IS_INF(x)) AS is_high
        )
        ORDER BY number.place
      ) AS cells
    FROM number
    LEFT JOIN category
      ON category.subject = number.subject AND category.place = number.place AND category.value = number.text
    GROUP BY number.row_number
  ),
  told AS (
    -- Place -1 is how rows arrived; -2 is for telling which of them came again.
    SELECT
      whole.window_start,
      whole.subject,
      item.place,
      CASE
        WHEN item.place = -1 THEN whole.piece
        WHEN item.place = -2 THEN 0
        WHEN item.second IS NULL THEN whole.cells[SAFE_ORDINAL(item.first + 1)].cell
        WHEN whole.cells[SAFE_ORDINAL(item.first + 1)].cell < 0 THEN -1
        WHEN whole.cells[SAFE_ORDINAL(item.second + 1)].cell < 0 THEN -1
        ELSE 4 * item.first_quarters[SAFE_ORDINAL(whole.cells[SAFE_ORDINAL(item.first + 1)].cell + 1)]
          + item.second_quarters[SAFE_ORDINAL(whole.cells[SAFE_ORDINAL(item.second + 1)].cell + 1)]
      END AS cell,
      IF(item.second IS NULL, whole.cells[SAFE_ORDINAL(item.first + 1)].x, NULL) AS x,
      item.second IS NULL AND whole.cells[SAFE_ORDINAL(item.first + 1)].is_unseen AS is_unseen,
      item.second IS NULL AND whole.cells[SAFE_ORDINAL(item.first + 1)].is_low AS is_low,
      IF(
        item.place = -1,
        whole.has_unknown_name,
        item.second IS NULL AND whole.cells[SAFE_ORDINAL(item.first + 1)].is_high
      ) AS is_high,
      IF(item.place = -2, whole.key, NULL) AS key
    FROM whole
    JOIN item ON item.subject = whole.subject
    WHERE item.place < 0 OR NOT whole.is_copy
  ),
  counted AS (
    SELECT
      window_start,
      subject,
      place,
      cell,
      COUNTIF(place != -2) AS n,
      COUNTIF(is_unseen) + COUNT(key) - COUNT(DISTINCT key) AS n_unseen,
      COUNTIF(is_low) AS n_low,
      COUNTIF(is_high) AS n_high,
      SUM(x) AS total,
      SUM(x * x) AS total_sq
    FROM told
    GROUP BY window_start, subject, place, cell
  ),
  grid AS (
    SELECT
      window_start,
      item.subject,
      item.place,
      item.name,
      cell
    FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@start, @last, INTERVAL 1 {unit})) AS window_start,
      item,
      UNNEST(IF(item.place = -2, [0], GENERATE_ARRAY(-2, item.cells - 1))) AS cell
  ),
  summed AS (
    SELECT
      grid.window_start,
      grid.subject,
      grid.name,
      COALESCE(SUM(counted.n), 0) AS n,
      COALESCE(SUM(IF(grid.cell = -1, counted.n, 0)), 0) AS n_null,
      COALESCE(SUM(IF(grid.cell = -2, counted.n, 0)), 0) AS n_unparseable,
      COALESCE(SUM(counted.n_unseen), 0) AS n_unseen,
      COALESCE(SUM(counted.n_low), 0) AS n_low,
      COALESCE(SUM(counted.n_high), 0) AS n_high,
      ARRAY_AGG(IF(grid.cell >= 0 AND grid.place != -2, COALESCE(counted.n, 0), NULL) IGNORE NULLS ORDER BY grid.cell) AS counts,
      COALESCE(SUM(counted.total), 0) AS total,
      COALESCE(SUM(counted.total_sq), 0) AS total_sq
    FROM grid
    LEFT JOIN counted
      ON counted.window_start = grid.window_start
      AND counted.subject = grid.subject
      AND counted.place = grid.place
      AND counted.cell = grid.cell
    GROUP BY grid.window_start, grid.subject, grid.name
  )
  SELECT
    subject.model,
    subject.deployed_model_id,
    subject.baseline_id,
    subject.sampling_rate,
    summed.window_start,
    summed.name AS feature,
    summed.n,
    summed.n_null,
    summed.n_unparseable,
    summed.n_unseen,
    summed.n_low,
    summed.n_high,
    summed.counts,
    summed.total,
    summed.total_sq
  FROM summed
  JOIN subject ON subject.place = summed.subject
) AS fresh
ON kept.model = fresh.model
  AND kept.deployed_model_id = fresh.deployed_model_id
  AND kept.baseline_id = fresh.baseline_id
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
  sum_sq = fresh.total_sq,
  sampling_rate = fresh.sampling_rate
WHEN NOT MATCHED THEN INSERT (
  model, deployed_model_id, baseline_id, window_start, window_end, feature,
  n, n_null, n_unparseable, n_unseen, n_low, n_high, counts, sum, sum_sq, sampling_rate
) VALUES (
  fresh.model, fresh.deployed_model_id, fresh.baseline_id, fresh.window_start,
  TIMESTAMP_ADD(fresh.window_start, INTERVAL 1 {unit}), fresh.feature,
  fresh.n, fresh.n_null, fresh.n_unparseable, fresh.n_unseen, fresh.n_low, fresh.n_high,
  fresh.counts, fresh.total, fresh.total_sq, fresh.sampling_rate
)
