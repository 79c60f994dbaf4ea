"""Source trees as git objects: found, packed, kept, read, compared."""
