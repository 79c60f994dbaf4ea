"""Source trees: found, digested, kept."""
