"""Secrets are taken out of everything that is recorded: by name, by well-known format, and by known value."""

from __future__ import annotations

from typing import Any

from reprokit.model import secret_formats, secret_names

REDACTED = "<redacted>"


class Redactor:
    """Takes secrets out of values, command lines, text and streams.

    Parameters
    ----------
    extra_names
        Names that are secret in this project besides the well-known ones (case does not count).
    known
        Values that are secrets wherever they turn up, such as those of secret environment variables.
    """

    __slots__ = ("_extra", "_known")

    def __init__(self, extra_names: tuple[str, ...] = (), known: frozenset[str] = frozenset()) -> None:
        self._extra = frozenset(name.lower() for name in extra_names)
        self._known = tuple(sorted((v for v in known if len(v) >= 8), key=len, reverse=True))

    def is_secret_name(self, name: str) -> bool:
        """Tell whether what has this name is a secret; ``num_tokens`` is none, ``api_token`` is."""
        return (
            name.lower() in self._extra or secret_names.is_secret(name) if self._extra else secret_names.is_secret(name)
        )

    def value(self, name: str, value: Any) -> tuple[Any, list[str]]:
        """Take secrets out of a JSON-like value; give it back with the places where they were."""
        if isinstance(value, str):
            if self.is_secret_name(name) and value:
                return REDACTED, [name]
            text, count = self.text(value)
            return (text, [name]) if count else (value, [])
        places: list[str] = []
        return self._walk(name, name, value, places), places

    def _walk(self, name: str, place: str, value: Any, places: list[str]) -> Any:
        if isinstance(value, dict):
            made = {}
            for key, item in value.items():
                text = str(key)
                clean, hidden = self.text(text) if len(text) >= 12 else (text, 0)
                made[clean if hidden else key] = self._walk(
                    text, f"{place}[{text!r}]" if not hidden else place, item, places
                )
            if self.is_secret_name(name) and "$type" in made:
                places.append(place)
                return REDACTED
            return made
        if isinstance(value, (list, tuple)):
            made_list = [self._walk(name, f"{place}[{i}]", item, places) for i, item in enumerate(value)]
            if (
                len(made_list) == 2
                and isinstance(value[0], str)
                and isinstance(value[1], str)
                and self.is_secret_name(value[0])
            ):
                places.append(f"{place}[1]")  # a (name, value) pair
                made_list[1] = REDACTED
            return made_list
        if isinstance(value, str):
            if value and self.is_secret_name(name):
                places.append(place)
                return REDACTED
            text, count = self.text(value)
            if count:
                places.append(place)
            return text
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self.is_secret_name(name):
            places.append(place)
            return REDACTED
        return value

    def text(self, text: str) -> tuple[str, int]:
        """Take secrets out of free text; give it back with how many there were."""
        count = 0
        for known in self._known:
            if known in text:
                count += text.count(known)
                text = text.replace(known, REDACTED)
        if len(text) < 8:
            return text, count
        made, more = secret_formats.replace(text, REDACTED, self.is_secret_name)
        return made, count + more

    def argv(self, argv: list[str]) -> tuple[list[str], list[str]]:
        """Take secrets out of a command line; give it back with the places (``[3]``)."""
        made: list[str] = []
        places: list[str] = []
        expects = False
        for index, arg in enumerate(argv):
            if expects and not arg.startswith("-"):
                made.append(REDACTED)
                places.append(f"[{index}]")
                expects = False
                continue
            expects = False
            name, equals, rest = arg.partition("=")
            bare = name.lstrip("-")
            if equals and rest and bare and " " not in bare and "/" not in bare and self.is_secret_name(bare):
                made.append(f"{name}={REDACTED}")
                places.append(f"[{index}]")
                continue
            if arg.startswith("-") and not equals and self.is_secret_name(bare):
                expects = True
            text, count = self.text(arg)
            if count:
                places.append(f"[{index}]")
            made.append(text)
        return made, places

    def secrets_in(self, argv: list[str]) -> frozenset[str]:
        """Give the values that a command line hands over under secret names: they may turn up elsewhere."""
        found = set()
        for before, arg in zip(["", *argv], argv, strict=False):
            name, equals, rest = arg.partition("=")
            if equals and self.is_secret_name(name.lstrip("-")):
                found.add(rest)
            elif (
                before.startswith("-")
                and "=" not in before
                and not arg.startswith("-")
                and self.is_secret_name(before.lstrip("-"))
            ):
                found.add(arg)
        return frozenset(found)

    def stream(self) -> StreamRedactor:
        """Make a filter for output that comes as bytes in pieces."""
        return StreamRedactor(self)


class StreamRedactor:
    """Takes secrets out of output that comes in arbitrary pieces.

    Whole lines are looked at, so a secret across two pieces is seen; a line longer than `LONGEST_LINE` is looked at in
    overlapping parts, and a private key is dropped from its first line to its last.
    """

    LONGEST_LINE = 1 << 20  # bytes
    _OVERLAP = 8192  # bytes; longer than any known format

    __slots__ = ("_in_key", "_parts", "_redactor", "_size")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._parts: list[bytes] = []  # of a line that has no end yet; joined once, for it may come byte by byte
        self._size = 0
        self._in_key = False

    def feed(self, chunk: bytes) -> bytes:
        """Take a piece; give what can be written already."""
        self._parts.append(chunk)
        self._size += len(chunk)
        ends = b"\n" in chunk or b"\r" in chunk
        if not ends and self._size <= self.LONGEST_LINE:
            return b""
        data = b"".join(self._parts)
        if ends:
            cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        else:
            cut = data.rfind(b" ", 0, len(data) - self._OVERLAP) + 1 or len(data) - self._OVERLAP
        self._parts, self._size = [data[cut:]], len(data) - cut
        return self._clean(data[:cut])

    def close(self) -> bytes:
        """Give what is left."""
        rest, self._parts, self._size = b"".join(self._parts), [], 0
        return self._clean(rest) if rest else b""

    def _clean(self, data: bytes) -> bytes:
        if self._in_key or b"-----BEGIN" in data:
            data = self._without_keys(data)
        text = data.decode("utf-8", "surrogateescape")
        made, count = self._redactor.text(text)
        return made.encode("utf-8", "surrogateescape") if count else data

    def _without_keys(self, data: bytes) -> bytes:
        kept = []
        for line in data.splitlines(keepends=True):
            begins = b"-----BEGIN" in line and b"PRIVATE KEY" in line
            if begins and not self._in_key:
                kept.append(line[: line.index(b"-----BEGIN")] + REDACTED.encode() + b"\n")
            self._in_key = (self._in_key or begins) and not (b"-----END" in line and b"PRIVATE KEY" in line)
            if not begins and not self._in_key and b"-----END" not in line:
                kept.append(line)
        return b"".join(kept)


def find(text: str) -> list[str]:
    """Name the well-known formats of secrets that occur in `text`."""
    return secret_formats.find(text)


def strip_url(url: str) -> str:
    """Give a URL without user and password."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
