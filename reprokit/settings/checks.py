"""Values of settings are checked; what is wrong is told with file and key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reprokit.errors import NamingError, SettingsError
from reprokit.settings.values import FileRule, OutputRule

if TYPE_CHECKING:
    from collections.abc import Callable

_ALGORITHMS = ("md5", "sha1", "sha256", "sha3")


class Source:
    """Names file and key in errors."""

    def __init__(self, name: str, prefix: str = "") -> None:
        self.name, self.prefix = name, prefix

    def fail(self, key: str, problem: str) -> SettingsError:
        return SettingsError(self.name, self.prefix + key, problem)

    def wrong(self, key: str, wanted: str, value: Any) -> SettingsError:
        return self.fail(key, f"{value!r} is no {wanted}")

    def boolean(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def string(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong(key, "string", value)
        return value

    def path(self, key: str, value: Any) -> str:
        if not self.string(key, value).strip() or "\0" in value:
            raise self.wrong(key, "path", value)
        return str(value)

    def strings(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "list of strings", value)
        return tuple(value)

    def size(self, key: str, value: Any) -> int:
        found = (
            re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmMgGtT]?i?)[bB]?\s*", value)
            if isinstance(value, str)
            else None
        )
        if found:
            unit = found[2].lower()
            base = 1024 if unit.endswith("i") else 1000
            try:
                return int(float(found[1]) * base ** ("kmgt".index(unit[0]) + 1 if unit else 0))
            except OverflowError:
                raise self.wrong(key, "size; it has too many digits", value) from None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(key, 'size; give bytes, or text such as "50 MB"', value)
        return value

    def choice(self, *allowed: str) -> Callable[[str, Any], Any]:
        def check(key: str, value: Any) -> Any:
            if value not in allowed:
                raise self.fail(key, f"{value!r} is none of {', '.join(map(repr, allowed))}")
            return value

        return check

    def template(self, key: str, value: Any) -> str:
        from reprokit.model import naming

        try:
            return naming.check_template(self.string(key, value))
        except NamingError as error:
            raise self.fail(key, str(error)) from error

    def table(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(key, "table", value)
        return value

    def rules(self, key: str, value: Any) -> dict[str, FileRule]:
        made = {}
        for name, options in self.table(key, value).items():
            place = f"{key}.{name}"
            found = self.known(place, self.table(place, options), {"hash", "copy", "move"})
            algorithm = found.get("hash")
            if algorithm is not None and algorithm not in _ALGORITHMS:
                raise self.fail(f"{place}.hash", f"{algorithm!r} is none of {', '.join(_ALGORITHMS)}")
            rule = FileRule(
                hash=algorithm,
                copy=self.boolean(f"{place}.copy", found.get("copy", False)),
                move=self.boolean(f"{place}.move", found.get("move", False)),
            )
            if rule.copy and rule.move:
                raise self.fail(place, "copy and move exclude each other; choose one")
            made[name] = rule
        return made

    def number(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.wrong(key, "number from 0 on", value)
        return float(value)

    def share(self, key: str, value: Any) -> float:
        if self.number(key, value) > 1:
            raise self.wrong(key, "share from 0 to 1", value)
        return float(value)

    def outputs(self, key: str, value: Any) -> dict[str, OutputRule]:
        checks: dict[str, Callable[[str, Any], Any]] = {
            "rtol": self.number,
            "atol": self.number,
            "ignore": self.strings,
            "pixels": self.share,
            "levels": self.number,
        }
        made = {}
        for name, options in self.table(key, value).items():
            place = f'{key}."{name}"'
            found = self.known(place, self.table(place, options), set(checks))
            made[name] = OutputRule(**{one: checks[one](f"{place}.{one}", given) for one, given in found.items()})
        return made

    def known(self, key: str, table: dict[str, Any], allowed: set[str]) -> dict[str, Any]:
        made = {}
        for name, value in table.items():
            plain = name.replace("_", "-")
            if plain not in allowed:
                import difflib

                near = difflib.get_close_matches(plain, sorted(allowed), 1, 0.5)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(sorted(allowed))}"
                raise self.fail(f"{key}.{name}" if key else name, f"unknown key{hint}")
            if plain in made:
                raise self.fail(f"{key}.{name}" if key else name, f"given twice: {plain!r} is the same key")
            made[plain] = value
        return made
