"""Opens a run, drives the captures, commits its record."""
