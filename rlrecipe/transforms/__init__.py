"""What stands between environments and everything else, one a file."""
