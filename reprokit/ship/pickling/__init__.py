"""How objects are pickled for workers: what is local by name, the rest by value."""
