"""Finding runs."""
