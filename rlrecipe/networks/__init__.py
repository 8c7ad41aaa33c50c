"""Networks as pure functions of named parameters, one a file."""
