"""What makes a policy try other actions, one a file."""
