"""Action distributions, one a file."""
