"""The wing: what only mirrors torchrl. The loop, the update and the base of hooks know nothing of it."""
