"""From a section of a recipe to the component that it describes."""
