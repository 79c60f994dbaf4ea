"""Random walks: a package of the project that no worker has installed."""
