CASE
      WHEN MOD(ABS(FARM_FINGERPRINT(CAST(DATE({timestamp}) AS STRING))), 100) < @train THEN 'train'
      WHEN MOD(ABS(FARM_FINGERPRINT(CAST(DATE({timestamp}) AS STRING))), 100) < @train_and_validate THEN 'eval'
      ELSE 'test'
    END
