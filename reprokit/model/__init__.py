"""Frozen values and pure functions: records, names, canonical forms, digests, redaction.  No input or output."""
