"""The training loop, its hook points and its sub-batches."""
