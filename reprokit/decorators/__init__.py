"""What users put on their functions: ``Artifact``, ``monitor``, ``snapshot_code``, and ``with run(...)``."""
