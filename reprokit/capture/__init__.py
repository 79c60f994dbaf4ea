"""Finding things out and keeping them as records; captures know no vault."""
