"""Recipes: read, merged, validated and checked, without torch or numpy."""
