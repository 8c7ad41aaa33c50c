"""Schedules: numbers that change over the run, as functions of progress in [0, 1]."""
