"""From a recipe to a trainer: the only place that joins components."""
