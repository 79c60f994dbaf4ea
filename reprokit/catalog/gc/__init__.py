"""What of a vault is still needed, and removing the rest: planned as a frozen value, carried out in a safe order."""

from reprokit.catalog.gc.planning import plan
from reprokit.catalog.gc.policy import Plan, Policy
from reprokit.catalog.gc.removal import Removed, remove

__all__ = ["Plan", "Policy", "Removed", "plan", "remove"]
