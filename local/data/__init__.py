"""Real data for rehearsals and benchmarks, read from packages that are installed only for the files they carry."""
