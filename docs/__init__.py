"""Documentation, and the script that writes the part of it that can be generated."""
