"""reprokit beside its peers, and beside the least that its promises cost: ``python -m benchmarks``."""
