    -- The older log has no request's number: what is equal to the microsecond and the byte was logged twice.
    SELECT
      time AS logging_time,
      model_version AS deployed_model_id,
      TO_HEX(MD5(CONCAT(CAST(time AS STRING), raw_data, COALESCE(raw_prediction, '')))) AS request_id,
      ROW_NUMBER() OVER (PARTITION BY model_version, time, raw_data, raw_prediction ORDER BY time) > 1 AS is_copy,
      IFNULL(JSON_QUERY_ARRAY(raw_data, '$.instances'), [raw_data]) AS request_payload,
      IFNULL(JSON_QUERY_ARRAY(raw_prediction, '$.predictions'), [raw_prediction]) AS response_payload
    FROM {log}
    WHERE time >= @start
      AND time < @end
      AND model_version IN UNNEST(JSON_VALUE_ARRAY(@deployed))
