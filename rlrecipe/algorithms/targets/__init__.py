"""How target networks follow, one a file."""
