"""Runs: their directory, records, evaluation, and the session that trains."""
