"""Where the rows of a replay buffer are kept, one a file."""
