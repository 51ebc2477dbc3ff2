-- One pass over the requests of whole windows: all deployed models of one log, every series as counts, nothing else.
-- Each payload is parsed once; pairs come from the cells of their members. A request that was logged twice counts
-- once. Windows are counted anew each time, so running this again only changes a window whose rows came late.
-- The series (arrivals) says how rows came, copies too: in which 24th of the window, how many of them again (unseen),
-- and how many hold a name that nobody knows (high). Its cell -3 is for telling rows that came again, and has no rows.
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
      ARRAY(
        SELECT AS STRUCT
          o AS place,
          JSON_VALUE(each, '$.name') AS name,
          JSON_VALUE(each, '$.kind') = 'numeric' AS is_numeric,
          CAST(JSON_VALUE(each, '$.cells') AS INT64) AS cells,
          JSON_VALUE(each, '$.complete') = 'true' AS is_complete,
          CAST(JSON_VALUE(each, '$.low') AS FLOAT64) AS low,
          CAST(JSON_VALUE(each, '$.high') AS FLOAT64) AS high,
          ARRAY(
            SELECT CAST(edge AS FLOAT64)
            FROM UNNEST(JSON_VALUE_ARRAY(each, '$.edges')) AS edge WITH OFFSET AS e ORDER BY e
          ) AS edges,
          ARRAY(
            SELECT CAST(known AS FLOAT64)
            FROM UNNEST(JSON_VALUE_ARRAY(each, '$.values')) AS known WITH OFFSET AS k ORDER BY k
          ) AS known,
          JSON_VALUE_ARRAY(each, '$.categories') AS categories,
          ARRAY(
            SELECT CAST(cell AS INT64)
            FROM UNNEST(JSON_VALUE_ARRAY(each, '$.places')) AS cell WITH OFFSET AS c ORDER BY c
          ) AS places
        FROM UNNEST(JSON_QUERY_ARRAY(one, '$.series')) AS each WITH OFFSET AS o
        ORDER BY o
      ) AS series,
      ARRAY(
        SELECT AS STRUCT
          CAST(JSON_VALUE(each, '$.place') AS INT64) AS place,
          JSON_VALUE(each, '$.name') AS name,
          CAST(JSON_VALUE(each, '$.first') AS INT64) AS first,
          CAST(JSON_VALUE(each, '$.second') AS INT64) AS second,
          ARRAY(
            SELECT CAST(quarter AS INT64)
            FROM UNNEST(JSON_VALUE_ARRAY(each, '$.first_quarters')) AS quarter WITH OFFSET AS q ORDER BY q
          ) AS first_quarters,
          ARRAY(
            SELECT CAST(quarter AS INT64)
            FROM UNNEST(JSON_VALUE_ARRAY(each, '$.second_quarters')) AS quarter WITH OFFSET AS q ORDER BY q
          ) AS second_quarters
        FROM UNNEST(JSON_QUERY_ARRAY(one, '$.pairs')) AS each WITH OFFSET AS o
        ORDER BY o
      ) AS pairs
    FROM UNNEST(JSON_QUERY_ARRAY(@subjects)) AS one WITH OFFSET AS place
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
      TIMESTAMP_TRUNC(instance.logging_time, {unit}) AS window_start,
      instance.logging_time,
      subject.place AS subject,
      subject.shape,
      subject.series,
      subject.pairs,
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
      window_start,
      subject,
      series,
      pairs,
      STRUCT(
        is_copy AS is_copy,
        DIV((UNIX_MICROS(logging_time) - UNIX_MICROS(window_start)), @piece) AS cell,
        COALESCE(inputs[SAFE_ORDINAL(ARRAY_LENGTH(inputs))], row_id) AS key,
        has_unknown_name AS has_unknown_name
      ) AS arrival,
      CASE shape
        {values}
      END AS found
    FROM drawn
  ),
  numbered AS (
    SELECT
      valued.window_start,
      valued.subject,
      valued.pairs,
      valued.arrival,
      ARRAY(
        SELECT AS STRUCT
          one.place,
          value.is_broken,
          NULLIF(value.text, '') AS text,
          one.is_numeric,
          one.is_complete,
          one.cells,
          one.edges,
          one.known,
          one.low,
          one.high,
          one.categories[SAFE_ORDINAL(RANGE_BUCKET(value.text, one.categories))] = value.text AS is_listed,
          one.places[SAFE_ORDINAL(RANGE_BUCKET(value.text, one.categories))] AS listed_cell,
          IF(one.is_numeric AND NOT value.is_broken, SAFE_CAST(NULLIF(value.text, '') AS FLOAT64), NULL) AS x
        FROM UNNEST(valued.found) AS value WITH OFFSET AS o
        JOIN UNNEST(valued.series) AS one ON one.place = o
        ORDER BY one.place
      ) AS found
    FROM valued
  ),
  celled AS (
    SELECT
      numbered.window_start,
      numbered.subject,
      numbered.pairs,
      numbered.arrival,
      ARRAY(
        SELECT AS STRUCT
          one.place,
          CASE
            WHEN one.is_broken THEN -2
            WHEN one.text IS NULL THEN -1
            WHEN one.is_numeric AND (one.x IS NULL OR IS_NAN(one.x) OR IS_INF(one.x)) THEN -2
            WHEN one.is_numeric THEN RANGE_BUCKET(one.x, one.edges)
            ELSE IF(one.is_listed, one.listed_cell, one.cells - 1)
          END AS cell,
          IF(IS_NAN(one.x) OR IS_INF(one.x), NULL, one.x) AS x,
          CASE
            WHEN NOT one.is_complete OR one.is_broken OR one.text IS NULL THEN FALSE
            WHEN one.is_numeric THEN NOT (
              IS_NAN(one.x) OR IS_INF(one.x)
              -- A known value lies around it: the training rows were read as 32-bit numbers.
              OR RANGE_BUCKET(one.x + 1.2e-7 * ABS(one.x), one.known)
              > RANGE_BUCKET(one.x - 1.2e-7 * ABS(one.x) - 1e-300, one.known)
            )
            ELSE NOT COALESCE(one.is_listed, FALSE)
          END AS is_unseen,
          COALESCE(one.x < one.low, FALSE) AND NOT IS_INF(one.x) AS is_low,
          COALESCE(one.x > one.high, FALSE) AND NOT (IS_NAN(one.x) OR IS_INF(one.x)) AS is_high
        FROM UNNEST(numbered.found) AS one
        ORDER BY one.place
      ) AS cells
    FROM numbered
  ),
  paired AS (
    SELECT
      celled.window_start,
      celled.subject,
      celled.cells,
      celled.arrival,
      [
        STRUCT(
          -1 AS place,
          celled.arrival.cell AS cell,
          CAST(NULL AS FLOAT64) AS x,
          FALSE AS is_unseen,
          FALSE AS is_low,
          celled.arrival.has_unknown_name AS is_high
        ),
        STRUCT(
          -1 AS place,
          -3 AS cell,
          CAST(NULL AS FLOAT64) AS x,
          FALSE AS is_unseen,
          FALSE AS is_low,
          FALSE AS is_high
        )
      ] AS arrivals,
      ARRAY(
        SELECT AS STRUCT
          pair.place,
          IF(
            first.cell < 0 OR second.cell < 0,
            -1,
            4 * pair.first_quarters[SAFE_ORDINAL(first.cell + 1)]
            + pair.second_quarters[SAFE_ORDINAL(second.cell + 1)]
          ) AS cell,
          CAST(NULL AS FLOAT64) AS x,
          FALSE AS is_unseen,
          FALSE AS is_low,
          FALSE AS is_high
        FROM UNNEST(celled.pairs) AS pair
        JOIN UNNEST(celled.cells) AS first ON first.place = pair.first
        JOIN UNNEST(celled.cells) AS second ON second.place = pair.second
      ) AS pairs
    FROM celled
  ),
  counted AS (
    SELECT
      paired.window_start,
      paired.subject,
      one.place,
      one.cell,
      COUNTIF(one.cell > -3) AS n,
      COUNTIF(one.is_unseen)
      + COUNT(IF(one.cell = -3, paired.arrival.key, NULL))
      - COUNT(DISTINCT IF(one.cell = -3, paired.arrival.key, NULL)) AS n_unseen,
      COUNTIF(one.is_low) AS n_low,
      COUNTIF(one.is_high) AS n_high,
      SUM(one.x) AS total,
      SUM(one.x * one.x) AS total_sq
    FROM paired,
      UNNEST(ARRAY_CONCAT(paired.cells, paired.pairs, paired.arrivals)) AS one
    WHERE one.place = -1 OR NOT paired.arrival.is_copy
    GROUP BY paired.window_start, paired.subject, one.place, one.cell
  ),
  kind AS (
    SELECT subject.place AS subject, one.place, one.name, one.cells FROM subject, UNNEST(subject.series) AS one
    UNION ALL
    SELECT subject.place AS subject, one.place, one.name, 16 AS cells FROM subject, UNNEST(subject.pairs) AS one
    UNION ALL
    SELECT subject.place AS subject, -1 AS place, '(arrivals)' AS name, 24 AS cells FROM subject
  ),
  grid AS (
    SELECT
      window_start,
      kind.subject,
      kind.place,
      kind.name,
      cell
    FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@start, @last, INTERVAL 1 {unit})) AS window_start,
      kind,
      UNNEST(GENERATE_ARRAY(-3, kind.cells - 1)) AS cell
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
      ARRAY_AGG(IF(grid.cell >= 0, COALESCE(counted.n, 0), NULL) IGNORE NULLS ORDER BY grid.cell) AS counts,
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
