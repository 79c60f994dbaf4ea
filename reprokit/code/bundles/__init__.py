"""Bundles: the local packages of a project, packed to be sent to other processes, and imported apart there."""
