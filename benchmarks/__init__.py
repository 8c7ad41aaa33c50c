"""rlrecipe beside its peers: the same work, learned and timed side by side."""
