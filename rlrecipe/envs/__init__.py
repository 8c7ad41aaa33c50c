"""Kinds of environments, one a file."""
