"""Hooks of the training loop, one a file."""
