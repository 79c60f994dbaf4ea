"""Reads archives without running them: their source is parsed, and what the format knows is built."""
