"""Digests are tagged and length-prefixed."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from reprokit.model import digest

parts = st.lists(st.binary(max_size=8), max_size=5)


@given(st.text(max_size=4), parts, st.text(max_size=4), parts)
def test_no_two_different_values_collide_by_concatenation(kind1, parts1, kind2, parts2):
    same = (kind1, parts1) == (kind2, parts2)
    assert (digest.of_parts(kind1, *parts1) == digest.of_parts(kind2, *parts2)) == same


@given(st.binary())
def test_digest_of_bytes_is_what_sha256sum_prints(data):
    found = digest.of_bytes(data)
    assert digest.is_digest(found)
    assert digest.hex_of(found) == hashlib.sha256(data).hexdigest()
    assert digest.short(found) == digest.hex_of(found)[:7]


def test_what_is_no_digest():
    for text in (
        "",
        "sha256:",
        "sha256:" + "g" * 64,
        "md5:" + "0" * 64,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 64 + "\n",
    ):
        assert not digest.is_digest(text)
