"""What is raised for a value that has no digest, and where inside the argument it lies."""

from __future__ import annotations

from reprokit.errors import ReprokitError


class UnknownValueError(ReprokitError, TypeError):
    """A value's content cannot be known, so it has no digest.

    Arguments: the place inside the value (``[3].model``; empty for the value itself), the type's name, and why.
    """

    def __init__(self, place: str, kind: str, why: str) -> None:
        super().__init__(place, kind, why)

    def __str__(self) -> str:
        place, kind, why = self.args
        return (
            f"{place or 'the value'} ({kind}) {why}; "
            "give key={'<argument>': function}, or ignore=('<argument>',) when no result depends on it"
        )


class Refused(Exception):  # noqa: N818 - never leaves the package
    """A value that is not told; each level that it passes on its way up adds its part of the place."""

    def __init__(self, kind: type, why: str) -> None:
        super().__init__(kind, why)
        self.kind, self.why = kind, why
        self.place: list[str] = []

    def inside(self, part: str) -> Refused:
        """Say within what the value lies."""
        self.place.append(part)
        return self

    def told(self) -> UnknownValueError:
        """Give the error for the caller."""
        return UnknownValueError("".join(reversed(self.place)), full_name(self.kind), self.why)


def full_name(kind: type) -> str:
    """Give module and name of a class, for people."""
    module, name = type.__getattribute__(kind, "__module__"), type.__getattribute__(kind, "__qualname__")
    return str(name) if module == "builtins" else f"{module}.{name}"
