"""The walk from a function to all local code that it reaches."""
