"""Secrets are taken out of everything that is recorded: by name, by well-known format, and by known value."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from reprokit.model import secret_formats, secret_known, secret_names, secret_text

if TYPE_CHECKING:
    from reprokit.model.redact_stream import StreamRedactor
    from reprokit.model.secret_blocks import Blocks

REDACTED = "<redacted>"
_NAMES = ("name", "key", "header", "field", "variable", "env", "Name", "Key")
_VALUES = ("value", "content", "val", "data", "Value")
_USERS = frozenset(("user", "username", "login", "uid", "email", "usr", "account", "User", "USER"))
_SHORT = frozenset(("pass", "pw", "key", "code", "Pass", "PASS"))  # secrets beside a user's name


class Redactor:
    """Takes secrets out of values, command lines, text and streams.

    A value that was met under the name of a secret is known from then on, and taken out wherever it turns up.

    Parameters
    ----------
    extra_names
        Names that are secret in this project besides the well-known ones (case does not count).
    known
        Values that are secrets wherever they turn up, such as those of secret environment variables.
    """

    __slots__ = ("_extra", "_hint", "_known", "_lock")

    def __init__(self, extra_names: tuple[str, ...] = (), known: frozenset[str] = frozenset()) -> None:
        self._extra = frozenset(name.lower() for name in extra_names)
        self._hint = secret_text.hints(tuple(sorted(self._extra)))
        self._known = secret_known.Known()
        self._lock = threading.Lock()
        for value in sorted(known):
            self._known = self._known.with_value(value, "password" if len(value) >= 8 else "token")

    def is_secret_name(self, name: str) -> bool:
        """Tell whether what has this name is a secret; ``num_tokens`` is none, ``api_token`` is."""
        return (
            name.lower() in self._extra or secret_names.is_secret(name) if self._extra else secret_names.is_secret(name)
        )

    @property
    def known(self) -> object:
        """What is known so far; another object as soon as something was learned."""
        return self._known

    def learn(self, name: str, value: Any) -> None:
        """Remember a value that stands under the name of a secret; common words and numbers are not."""
        if isinstance(value, (bytes, bytearray)):
            value = bytes(value).decode("utf-8", "replace")
        if not isinstance(value, str) or value == REDACTED or self._known.has(value):
            return
        if secret_known.is_worth(value, name):
            with self._lock:
                self._known = self._known.with_value(value, name)

    def value(self, name: str, value: Any) -> tuple[Any, list[str]]:
        """Take secrets out of a JSON-like value; give it back with the places where they were."""
        known = self._known
        places: list[str] = []
        made = self._walk(name, name, value, places, self.is_secret_name(name))
        if self._known is not known:  # what was learned on the way may stand before its name as well
            places = []
            made = self._walk(name, name, value, places, self.is_secret_name(name))
        return made, places

    def _walk(self, name: str, place: str, value: Any, places: list[str], inside: bool) -> Any:
        """Walk through a value; `inside` what has the name of a secret, everything is one."""
        if isinstance(value, str):
            if inside and value:
                if name in ("p", *_SHORT) or self.is_secret_name(
                    name
                ):  # a user's name or a host beside it is not looked for
                    self.learn(name, value)
                places.append(place)
                return REDACTED
            text, count = self._text(value, learn=True)
            if count:
                places.append(place)
            return text
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            if not inside or (name in ("pin", "pw") and abs(value) < 1000):  # of a chip
                return value
            places.append(place)
            return REDACTED
        if isinstance(value, dict):
            return self._dict(name, place, value, places, inside)
        if isinstance(value, (list, tuple)):
            return self._list(name, place, value, places, inside)
        return value

    def _dict(self, name: str, place: str, value: dict[Any, Any], places: list[str], inside: bool) -> Any:
        if inside and (_is_tagged(value) or "$type" in value):
            places.append(place)
            return REDACTED
        if len(value) == 1:
            key, item = next(iter(value.items()))
            if key in ("$reprokit:bytes", "$reprokit:text") and self._hidden_in_hex(item):
                places.append(place)
                return REDACTED
        if not inside and value.get("$type") == "dict" and isinstance(value.get("items"), dict):
            return {**value, "items": self._walk(name, place, value["items"], places, inside)}
        named = () if inside else self._named(value)
        made = {}
        for key, item in value.items():
            text = str(key)
            clean, hidden = self.text(text) if len(text) >= 12 else self._known.replace(text, REDACTED)
            where = place if hidden else f"{place}[{text!r}]"
            made[clean if hidden else key] = self._walk(
                text, where, item, places, inside or key in named or self.is_secret_name(text)
            )
        return made

    def _list(self, name: str, place: str, value: Any, places: list[str], inside: bool) -> list[Any]:
        if len(value) == 2 and not inside:  # a (name, value) pair
            first = _text_of(value[0])
            if first is not None and len(first) <= 60 and self.is_secret_name(first):
                return [value[0], self._walk(first, f"{place}[1]", value[1], places, True)]
        if not inside and value and type(value[-1]) is str and _is_command_line(value):
            made, found = self.argv(list(value))
            places.extend(place + one for one in found)
            return made
        return [self._walk(name, f"{place}[{i}]", item, places, inside) for i, item in enumerate(value)]

    def _named(self, value: dict[Any, Any]) -> tuple[str, ...]:
        """Give the keys of a dict that are secrets by what stands beside them."""
        found: tuple[str, ...] = ()
        for name in _NAMES:
            if isinstance(value.get(name), str) and self.is_secret_name(value[name]):
                found = tuple(key for key in _VALUES if key in value)
        if not _SHORT.isdisjoint(value) and not _USERS.isdisjoint(value):
            found += tuple(key for key in value if key in _SHORT)
        return found

    def _hidden_in_hex(self, value: Any) -> bool:
        """Tell whether a tagged object of a configuration holds a secret as hex."""
        try:
            return self.text(bytes.fromhex(value).decode("utf-8", "replace"))[1] > 0
        except (ValueError, TypeError):
            return False

    def text(self, text: str) -> tuple[str, int]:
        """Take secrets out of free text; give it back with how many there were."""
        return self._text(text)

    def lines(self, text: str, blocks: Blocks) -> tuple[str, int]:
        """Take secrets out of whole lines, where `blocks` knows what began in the lines before them."""
        return self._text(text, blocks=blocks)

    def _text(self, text: str, *, learn: bool = False, blocks: Blocks | None = None) -> tuple[str, int]:
        text, count = self._known.replace(text, REDACTED)
        if len(text) < 6 and blocks is None:
            return text, count
        names = secret_text.names_in(text, self.is_secret_name, self._hint)
        if blocks is not None and (blocks.open or names or "-----BEGIN" in text):
            text, more = blocks.feed(text)
            count += more
        text, more, passwords = secret_formats.replace(text, REDACTED)
        count += more
        if blocks is None and names and "\n" in text:
            from reprokit.model.secret_blocks import Blocks as New

            text, more = New(REDACTED, self.is_secret_name).feed(text)
            count += more
        taken: list[tuple[str, str]] = []
        if names:
            text, more, taken = secret_text.replace(text, REDACTED, self.is_secret_name, self._hint)
            count += more
        if learn:
            for name, value in (*taken, *(("password", password) for password in passwords)):
                self.learn(name, value)
        if " -" in text:
            from reprokit.model import secret_commands

            text, more = secret_commands.replace(text, REDACTED)
            count += more
        return text, count

    def argv(self, argv: list[str]) -> tuple[list[str], list[str]]:
        """Take secrets out of a command line; give it back with the places (``[3]``)."""
        hidden = self._hidden_in(argv)
        for name, start, end, index in hidden:
            self.learn(name, argv[index][start:end])
        made: list[str] = []
        places: list[str] = []
        spans = {index: (start, end) for _, start, end, index in hidden}
        for index, arg in enumerate(argv):
            if index in spans:
                start, end = spans[index]
                text, count = arg[:start] + REDACTED + arg[end:], 1
            else:
                text, count = self.text(arg)
            if count:
                places.append(f"[{index}]")
            made.append(text)
        return made, places

    def secrets_in(self, argv: list[str]) -> frozenset[str]:
        """Give the values that a command line hands over under secret names: they may turn up elsewhere."""
        return frozenset(argv[index][start:end] for _, start, end, index in self._hidden_in(argv))

    def _hidden_in(self, argv: list[str]) -> list[tuple[str, int, int, int]]:
        """Find the values of secret options: their name, where they begin and end in their argument, and which it is."""
        from reprokit.model import secret_commands

        return secret_commands.hidden(argv, self.is_secret_name)

    def stream(self) -> StreamRedactor:
        """Make a filter for output that comes as bytes in pieces."""
        from reprokit.model.redact_stream import StreamRedactor

        return StreamRedactor(self)


def _is_tagged(value: dict[Any, Any]) -> bool:
    return len(value) == 1 and str(next(iter(value))).startswith("$reprokit:")


def _is_command_line(items: Any) -> bool:
    return any(type(item) is str and item[:1] == "-" for item in items) and all(type(item) is str for item in items)


def _text_of(value: Any) -> str | None:
    """Give the text of a name: of a text, a tuple of texts, or bytes and members of an enum in their tagged form."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[-1], str):
        return value[-1]
    if isinstance(value, dict) and len(value) == 1:
        if isinstance(value.get("$reprokit:bytes"), str):
            return bytes.fromhex(value["$reprokit:bytes"]).decode("utf-8", "replace")
        return _text_of(value.get("$reprokit:enum"))
    return None


def find(text: str) -> list[str]:
    """Name the well-known formats of secrets that occur in `text`."""
    return secret_formats.find(text)


def strip_url(url: str) -> str:
    """Give a URL without user, password and query, and without tokens in its path."""
    scheme, separator, rest = url.partition("://")
    if separator:
        rest = rest.partition("?")[0]
        host, slash, path = rest.partition("/")
        port = host.rpartition(":")[2] if ":" in host else ""
        if "@" not in host and port and not port.isdigit() and "]" not in port and "@" in path:
            host, slash, path = path.partition("@")[2].partition("/")  # the password holds a "/"
        url = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return secret_formats.replace(url, REDACTED)[0]
