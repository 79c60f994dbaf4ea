"""Values that are known to be secrets, in the forms in which they turn up in text."""

from __future__ import annotations

import re
from typing import Self

from reprokit.model import secret_names

_SHORTEST = 6  # characters
_MOST = 200  # values; the oldest are forgotten first
_COMMON = frozenset(("password", "passwort", "secret", "default", "postgres", "changeme", "example", "redacted"))
_PATH = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\].*(?:\.[A-Za-z0-9]{1,6}|[/\\])")
_PLAIN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[a-z]+(?:_[a-z]+)+")


def is_worth(value: str, name: str) -> bool:
    """Tell whether a value met under a secret name is looked for elsewhere as well.

    Common words, numbers and paths are not: they stand in every record.  Under a name such as ``token``, which things
    other than secrets have as well, no plain or short word is, and no short ``session_id``: recordings have them.
    """
    bare = value.strip()
    if len(bare) < _SHORTEST or len(value) > 10_000 or bare.lower() in _COMMON or _PATH.fullmatch(bare):
        return False
    if bare.replace(".", "").replace("-", "").replace(":", "").isdigit():
        return False
    if secret_names.is_weak(name):
        return len(bare) >= 8 and not _PLAIN.fullmatch(bare)
    return len(bare) >= 16 or secret_names.words_of(name)[-1:] != ("id",)


class Known:
    """Known values; one that was added makes a new object, so other threads see whole ones."""

    __slots__ = ("_forms", "_values", "_word")

    def __init__(self, values: tuple[str, ...] = ()) -> None:
        self._values = values
        forms = {form for value in values for form in _forms(value) if len(form) >= _SHORTEST}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def with_value(self, value: str, name: str) -> Self:
        """Give these and one more, when it is worth it."""
        if not is_worth(value, name) or value in self._values:
            return self
        return type(self)((*self._values, value)[-_MOST:])

    def has(self, value: str) -> bool:
        """Tell whether a value is known."""
        return value in self._values

    def replace(self, text: str, by: str) -> tuple[str, int]:
        """Replace them; give the text back with how many there were."""
        count = 0
        for form in self._forms:
            if form in text:
                text, found = (
                    _pattern(form).subn(by, text) if form.isalnum() else (text.replace(form, by), text.count(form))
                )
                count += found
        if text.endswith("..."):  # cut: the beginning of one may be left
            for form in self._forms:
                length = next((n for n in range(len(form) - 1, 3, -1) if text.endswith(form[:n] + "...")), 0)
                if length:
                    return f"{text[: -length - 3]}{by}...", count + 1
        return text, count


def _pattern(form: str) -> re.Pattern[str]:
    """Give the pattern of a value that may be a part of longer words, which stay."""
    if _PLAIN.fullmatch(form):
        return re.compile(rf"(?<![A-Za-z]){form}(?![A-Za-z])")
    return re.compile(re.escape(form))


def _forms(value: str) -> set[str]:
    """Give the forms in which a value turns up in text: as it is, line by line, in JSON and in URLs."""
    bare = value.strip()
    forms = {value, bare}
    if "\n" in bare:
        forms |= {line for line in bare.splitlines() if len(line) >= 16 and " " not in line}
    if not bare.isalnum():
        import json
        from urllib.parse import quote, quote_plus

        forms |= {json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1], repr(bare)[1:-1]}
        forms |= {
            quote(bare, safe="", errors="replace"),
            quote(bare, errors="replace"),
            quote_plus(bare, errors="replace"),
        }
    return forms
