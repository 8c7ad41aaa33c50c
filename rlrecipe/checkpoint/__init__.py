"""Writing, verifying and pruning checkpoints."""
