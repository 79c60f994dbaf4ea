"""Runs a recorded run again, anywhere, and says whether it came out the same."""
