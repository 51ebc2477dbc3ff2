-- A payload as JSON, or null when it is none. A function of its own because MERGE on some servers refuses SAFE calls.
CREATE FUNCTION IF NOT EXISTS {parser}(payload STRING)
RETURNS JSON
AS (SAFE.PARSE_JSON(payload, wide_number_mode => 'round'))
