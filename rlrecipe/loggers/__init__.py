"""Where rows go, one a file."""
