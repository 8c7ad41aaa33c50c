"""Optimizers on one flat vector, one a file."""
