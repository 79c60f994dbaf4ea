"""Source trees: found, digested, kept, imported apart."""

PREFIX = "_reprokit_"  # of the private names of modules that are imported apart
