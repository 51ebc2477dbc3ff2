    SELECT
      logging_time,
      deployed_model_id,
      request_payload,
      response_payload
    FROM {log}
    WHERE logging_time >= @start
      AND logging_time < @end
      AND deployed_model_id IN UNNEST(JSON_VALUE_ARRAY(@deployed))
    QUALIFY request_id IS NULL
      OR ROW_NUMBER() OVER (PARTITION BY deployed_model_id, request_id ORDER BY logging_time) = 1
