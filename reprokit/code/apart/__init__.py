"""Source trees imported apart, so that several versions of one package live side by side in a process."""
