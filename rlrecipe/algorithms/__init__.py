"""Algorithms as data and pure functions, one a file."""
