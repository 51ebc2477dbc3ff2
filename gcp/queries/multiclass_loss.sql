-LN(LEAST(GREATEST(COALESCE((
      SELECT SAFE_CAST(one AS FLOAT64)
      FROM UNNEST(JSON_VALUE_ARRAY(response, '$.scores')) AS one WITH OFFSET AS place_of_score
      JOIN UNNEST(JSON_VALUE_ARRAY(response, '$.classes')) AS class WITH OFFSET AS place_of_class
        ON place_of_class = place_of_score
      WHERE class = label
      LIMIT 1
    ), 0), @smallest), 1 - @smallest))
