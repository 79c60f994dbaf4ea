"""What also works without reprokit: a monitored command's interpreters find this folder in ``PYTHONPATH``.

Standard library of Python 3.8 and later only.
"""
