"""torchrl's environments as gymnasium's."""
