"""Collectors of frames, one a file."""
