"""Replay buffers, one a file."""
