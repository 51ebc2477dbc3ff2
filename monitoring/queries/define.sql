-- What the cells of the counts mean, so that they can be read without this system's code.
MERGE {baselines} AS kept
USING (
  SELECT
    JSON_VALUE(one, '$.name') AS feature,
    TO_JSON_STRING(JSON_QUERY(one, '$.definition')) AS definition
  FROM UNNEST(JSON_QUERY_ARRAY(@definitions)) AS one
) AS fresh
ON kept.model = @model AND kept.baseline_id = @baseline_id AND kept.feature = fresh.feature
WHEN NOT MATCHED THEN INSERT (model, baseline_id, feature, definition)
VALUES (@model, @baseline_id, fresh.feature, fresh.definition)
