"""Fixtures: files of each family under names that tell nothing."""

from __future__ import annotations

import pytest

from tests.embed.specimens import FAMILIES


@pytest.fixture(scope="session")
def samples():
    """One file of each family, as bytes."""
    return {name: make() for name, make in FAMILIES.items()}


@pytest.fixture
def put(tmp_path):
    """Write bytes into a new file whose name tells nothing."""

    def put(data, name="file"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return put
