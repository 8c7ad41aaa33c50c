"""Inputs that failed once, as people wrote them, and what is right: one test a row, one file a table."""
