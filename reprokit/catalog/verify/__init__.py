"""Whether what was recorded is still there and still the same: artifacts, inputs, and the vault's own records."""

from reprokit.catalog.verify.check import verify
from reprokit.catalog.verify.report import Finding, Report

__all__ = ["Finding", "Report", "verify"]
