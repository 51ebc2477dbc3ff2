    SELECT
      logging_time,
      deployed_model_id,
      CAST(request_id AS STRING) AS request_id,
      request_id IS NOT NULL
      AND ROW_NUMBER() OVER (PARTITION BY deployed_model_id, request_id ORDER BY logging_time) > 1 AS is_copy,
      request_payload,
      response_payload
    FROM {log}
    WHERE logging_time >= @start
      AND logging_time < @end
      AND deployed_model_id IN UNNEST(JSON_VALUE_ARRAY(@deployed))
