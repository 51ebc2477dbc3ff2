(
      SELECT COUNT(*) > 0 AND LOGICAL_AND(COALESCE(SAFE_CAST(one AS FLOAT64) BETWEEN 0 AND 1, FALSE))
      FROM UNNEST(JSON_VALUE_ARRAY(response, '$.scores')) AS one
    )
    AND ARRAY_LENGTH(JSON_VALUE_ARRAY(response, '$.scores')) = ARRAY_LENGTH(JSON_VALUE_ARRAY(response, '$.classes'))
