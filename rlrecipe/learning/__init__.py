"""Parameters, their targets, and the one update that all algorithms share."""
