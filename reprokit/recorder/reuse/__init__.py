"""Results that are used again: what a call depends on, which earlier run did the same, and giving back what it made."""
