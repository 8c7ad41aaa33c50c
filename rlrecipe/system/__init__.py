"""Files, paths, signals and standard streams of this process."""
