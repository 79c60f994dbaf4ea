"""Teaches other libraries to carry local code: cloudpickle, Dask, Ray."""
