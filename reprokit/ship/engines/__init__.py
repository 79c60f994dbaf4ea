"""Adapters to what runs tasks: executors of the standard library's kind, Dask, Ray."""
