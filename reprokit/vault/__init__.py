"""The folder that holds run folders, snapshots and journals.  Nothing else in reprokit writes there."""
