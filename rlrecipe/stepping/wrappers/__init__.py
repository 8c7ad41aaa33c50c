"""Wrappers of one environment that gymnasium has not, or has in a form that cannot be saved; one a file."""
