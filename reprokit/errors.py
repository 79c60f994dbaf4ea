"""Every error and warning of reprokit, under one root each.

An error's arguments are data; ``str`` makes the sentence: what, where and the remedy.  Each error also has a parent
from the standard library, so that ``except KeyError`` or ``except OSError`` does what a caller expects.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousRunError",
    "AmbiguousTreeError",
    "ArchiveError",
    "ArtifactExistsError",
    "BundleMissingError",
    "BundleTooLargeError",
    "CaptureError",
    "CodeMismatchError",
    "ConfigError",
    "CycleError",
    "DirtyRepositoryError",
    "DuplicateError",
    "EmbedError",
    "EnvironmentBuildError",
    "GitError",
    "ImportApartError",
    "MissingExtraError",
    "MissingKeywordError",
    "MissingPackageError",
    "NamingError",
    "NoRunError",
    "NotInTreeError",
    "QueryError",
    "RecordError",
    "RecordingError",
    "RecordingWarning",
    "ReprokitError",
    "ReprokitWarning",
    "RunNotFoundError",
    "SecretsError",
    "SettingsError",
    "ShipError",
    "SnapshotExistsError",
    "TreeNotFoundError",
    "UncapturableError",
    "UnshippableError",
    "VaultError",
    "VaultVersionError",
    "WorkerError",
]


class ReprokitError(Exception):
    """Root of all errors that reprokit raises."""

    def __str__(self) -> str:
        return " ".join(str(arg) for arg in self.args)


class ReprokitWarning(UserWarning):
    """Root of all warnings that reprokit gives."""


class RecordingWarning(ReprokitWarning):
    """Something could not be recorded, or a recorded fact needs attention; the user's result is unaffected."""


class SettingsError(ReprokitError, ValueError):
    """A settings file or ``REPROKIT_*`` variable holds an unknown key or a wrong value.

    Arguments: the source (file or variable), the key (dotted; may be empty), what is wrong and the remedy.
    """

    def __init__(self, source: str, key: str, problem: str) -> None:
        super().__init__(source, key, problem)

    def __str__(self) -> str:
        source, key, problem = self.args
        return f"{source}: {key}: {problem}" if key else f"{source}: {problem}"


class ConfigError(ReprokitError, ValueError):
    """A ``config`` holds something that has no canonical form.

    Arguments: the place (``config['model']['optimizer']``), what is wrong there and the remedy.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)

    def __str__(self) -> str:
        place, problem = self.args
        return f"{place}: {problem}"


class NamingError(ReprokitError, ValueError):
    """A path cannot take a tag: no file name, a name too long, or a template that cannot be read back."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)

    def __str__(self) -> str:
        path, problem = self.args
        return f"{path!r}: {problem}"


class MissingKeywordError(ReprokitError, KeyError):
    """The call lacks the argument that an ``Artifact`` was told to rewrite."""

    def __init__(self, function: str, keyword: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(function, keyword, known)

    def __str__(self) -> str:
        function, keyword, known = self.args
        named = f"; its parameters are {', '.join(known)}" if known else ""
        return f"{function}() was called without {keyword!r}, which @Artifact({keyword!r}) rewrites{named}"


class CaptureError(ReprokitError):
    """Something that was asked for could not be found out."""


class GitError(CaptureError, OSError):
    """A git command failed.

    Arguments: the folder, and which command failed with what git said.  (Two, for ``OSError`` keeps no third.)
    """

    def __init__(self, root: str, problem: str) -> None:
        super().__init__(root, problem)

    def __str__(self) -> str:
        root, problem = self.args
        return f"{root}: {problem}"


class DirtyRepositoryError(CaptureError, OSError):
    """The repository has changes that no commit holds."""

    def __init__(self, root: str, changed: tuple[str, ...]) -> None:
        super().__init__(root, changed)

    def __str__(self) -> str:
        root, changed = self.args
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        return f"{root}: {len(changed)} uncommitted change(s): {shown}; commit them, or pass allow_dirty=True"


class UncapturableError(CaptureError, ValueError):
    """The code of an object cannot be captured.  Arguments: its name, why and the remedy."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)

    def __str__(self) -> str:
        name, problem = self.args
        return f"{name}: {problem}"


class SecretsError(ReprokitError, PermissionError):
    """A source tree holds what looks like secrets, and is not handed out for that.

    Arguments: the tree's digest, and the files with what was found in each.
    """

    def __init__(self, digest: str, found: tuple[str, ...]) -> None:
        super().__init__(digest, found)

    def __str__(self) -> str:
        digest, found = self.args
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        return f"{digest[:19]}: looks as if it held secrets ({shown}); allow_secrets (--allow-secrets) exports it nevertheless"


class SnapshotExistsError(ReprokitError, RuntimeError):
    """A snapshot holds a module of that name already."""

    def __init__(self, path: str, modules: tuple[str, ...]) -> None:
        super().__init__(path, modules)

    def __str__(self) -> str:
        path, modules = self.args
        return (
            f"{path}: holds {', '.join(modules)} already; pass overwrite=True to replace it, or choose another folder"
        )


class ImportApartError(ReprokitError, ImportError):
    """A module of a tree cannot be imported apart.  Arguments: the module or name, why and the remedy."""

    def __init__(self, module: str, problem: str) -> None:
        super().__init__(module, problem)
        self.name = module

    def __str__(self) -> str:
        module, problem = self.args
        return f"{module}: {problem}"


class NotInTreeError(ReprokitError, ModuleNotFoundError):
    """A tree that was imported apart has no such module."""

    def __init__(self, module: str, tree: str, hint: str = "") -> None:
        super().__init__(module, tree, hint)
        self.name = module

    def __str__(self) -> str:
        module, tree, hint = self.args
        return f"No module named {module!r} in {tree}{'; ' + hint if hint else ''}"


class ArtifactExistsError(ReprokitError, FileExistsError):
    """A file of that name is there already, and ``exists="error"`` (or a failed ``"keep"``) forbids replacing it."""

    def __init__(self, path: str, reason: str = "it exists already") -> None:
        super().__init__(path, reason)

    def __str__(self) -> str:
        path, reason = self.args
        return f"{path}: {reason}; remove or rename it, or pass exists='replace' or exists='keep'"


class NoRunError(ReprokitError, LookupError):
    """No run is open here."""

    def __str__(self) -> str:
        return "no run is open here; call this inside a decorated function or a `with reprokit.run(...)` block"


class RecordingError(ReprokitError, RuntimeError):
    """Recording failed in strict mode, before the function started."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)

    def __str__(self) -> str:
        what, why = self.args
        return f"cannot record {what}: {why}; strict mode (strict = true, REPROKIT_STRICT=1) forbids running unrecorded"


class VaultError(ReprokitError, OSError):
    """The vault cannot be read or written.  Arguments: its path, what is wrong and the remedy."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)

    def __str__(self) -> str:
        path, problem = self.args
        return f"{path}: {problem}"


class VaultVersionError(VaultError):
    """The vault was written by a version of reprokit that this one does not understand."""


class RecordError(VaultError, ValueError):
    """A record in the vault is damaged or from another version."""


class RunNotFoundError(ReprokitError, LookupError):
    """No run in the vault has an id that begins like this."""

    def __init__(self, wanted: str, vault: str) -> None:
        super().__init__(wanted, vault)

    def __str__(self) -> str:
        wanted, vault = self.args
        return f"no run {wanted!r} in {vault}; `reprokit runs` lists what is there"


class AmbiguousRunError(ReprokitError, LookupError):
    """Several runs have an id that begins like this."""

    def __init__(self, wanted: str, found: tuple[str, ...]) -> None:
        super().__init__(wanted, found)

    def __str__(self) -> str:
        wanted, found = self.args
        return f"{wanted!r} fits {len(found)} runs: {', '.join(i[:12] for i in found[:5])}; type more digits"


class MissingExtraError(ReprokitError, ImportError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)

    def __str__(self) -> str:
        package, extra = self.args
        return f"{package} is needed for this and not installed: pip install 'reprokit[{extra}]'"


class TreeNotFoundError(ReprokitError, LookupError):
    """No kept tree has a digest that begins like this, or it holds no such file.

    Arguments: what was asked for, where, and what is wrong with it.
    """

    def __init__(self, wanted: str, store: str, problem: str = "no such tree is kept") -> None:
        super().__init__(wanted, store, problem)

    def __str__(self) -> str:
        wanted, store, problem = self.args
        return f"{wanted!r}: {problem} in {store}"


class AmbiguousTreeError(ReprokitError, LookupError):
    """Several kept trees have a digest that begins like this."""

    def __init__(self, wanted: str, found: tuple[str, ...]) -> None:
        super().__init__(wanted, found)

    def __str__(self) -> str:
        wanted, found = self.args
        return f"{wanted!r} fits {len(found)} trees: {', '.join(d[:19] for d in found[:5])}; type more digits"


class ArchiveError(ReprokitError, ValueError):
    """An archive cannot be written or read.  Arguments: the place (may be left out), what is wrong there and the remedy."""

    def __str__(self) -> str:
        return ": ".join(str(arg) for arg in self.args)


class CycleError(ArchiveError):
    """Objects contain each other in a loop that cannot be rebuilt.  Arguments: the path to the loop, what closes it."""


class DuplicateError(ArchiveError):
    """Another object has that name in the archive already."""

    def __init__(self, name: str) -> None:
        super().__init__(name)

    def __str__(self) -> str:
        return f"Object with name {self.args[0]!r} already exists in archive."


class ShipError(ReprokitError, RuntimeError):
    """Code or a task cannot be sent to another process, or what came back cannot be read."""

    def __str__(self) -> str:
        return ": ".join(str(arg) for arg in self.args)


class BundleTooLargeError(ShipError, ValueError):
    """The local packages are larger than a bundle may be.

    Arguments: the root, the size and the limit in bytes, the largest files with their sizes.
    """

    def __init__(self, root: str, size: int, limit: int, largest: tuple[tuple[str, int], ...]) -> None:
        super().__init__(root, size, limit, largest)

    def __str__(self) -> str:
        root, size, limit, largest = self.args
        listed = ", ".join(f"{path} ({bytes_:,} bytes)" for path, bytes_ in largest)
        return (
            f"{root}: the local packages hold {size:,} bytes, and a bundle may have {limit:,}; the largest files are "
            f"{listed}; exclude them (exclude=...), name them in .gitignore, or raise max-bundle-size"
        )


class BundleMissingError(ShipError, LookupError):
    """A bundle is to be used, named by its digest, that nobody has sent to this process.

    Arguments: the digest, where it was looked for.
    """

    def __init__(self, digest: str, where: str) -> None:
        super().__init__(digest, where)

    def __str__(self) -> str:
        digest, where = self.args
        return f"bundle {digest[:16]} is not here ({where}); send it along: ship.dumps(obj) does by default"


class CodeMismatchError(ShipError, ImportError):
    """Code that arrived is not the code that was sent, or the worker can't run it as the driver would.

    Arguments: what differs, as it was expected, as it was found.
    """

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(what, expected, found)

    def __str__(self) -> str:
        what, expected, found = self.args
        return f"{what}: expected {expected}, found {found}"


class UnshippableError(ShipError, TypeError):
    """An object cannot be sent.  Arguments: the place (``argument 2['lock']``), its type, why."""

    def __init__(self, place: str, kind: str, why: str) -> None:
        super().__init__(place, kind, why)

    def __str__(self) -> str:
        place, kind, why = self.args
        return f"{place} ({kind}) cannot be sent: {why}"


class WorkerError(ShipError):
    """A worker cannot run tasks, or failed outside of them.  Arguments: what is wrong, the remedy."""


class MarkError(ReprokitError, ValueError):
    """A tag or note cannot be kept like this.  Arguments: the tag, what is wrong with it and the remedy."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)

    def __str__(self) -> str:
        name, problem = self.args
        return f"{name!r}: {problem}"


class UnreadableVaultError(VaultError):
    """Something in the vault can't be read, so nothing of it may be removed.

    Arguments: the vault, and what can't be read, a sentence each.
    """

    def __init__(self, path: str, problems: tuple[str, ...]) -> None:
        super().__init__(path, problems)  # type: ignore[arg-type]

    def __str__(self) -> str:
        path, problems = self.args
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"{path}: nothing is removed while not all of the vault can be read: {problems[0]}{more}; `reprokit verify` tells all"


class BusyVaultError(VaultError):
    """Another process is removing things from the vault."""


class QueryError(ReprokitError, ValueError):
    """A question to the catalogue can't be understood.

    Arguments: the expression, where in it (an index), what is wrong there and the remedy.
    """

    def __init__(self, expression: str, at: int, problem: str) -> None:
        super().__init__(expression, at, problem)

    def __str__(self) -> str:
        import unicodedata

        expression, at, problem = self.args
        begin = max(0, at - 70) if len(expression) > 110 else 0
        shown = "".join(c if c.isprintable() else " " for c in expression[begin : begin + 110])
        before = "".join(c if c.isprintable() else " " for c in expression[begin:at])
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in before)
        dots = "..." if begin else ""
        return f"{problem}\n  {dots}{shown}\n  {' ' * (width + len(dots))}^"


class MissingPackageError(ReprokitError, ImportError):
    """A package that is not ours to bring along is needed and not installed.  Arguments: the package, what needs it."""

    def __init__(self, package: str, what: str) -> None:
        super().__init__(package, what)

    def __str__(self) -> str:
        package, what = self.args
        return f"{package} is needed for {what} and not installed: pip install {package}"


class EmbedError(ReprokitError, ValueError):
    """A tag cannot be put inside a file; the file is as it was.  Arguments: the file, what is wrong with it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)

    def __str__(self) -> str:
        path, problem = self.args
        return f"{path}: {problem}"


class EnvironmentBuildError(ReprokitError, RuntimeError):
    """The environment of a recorded run can't be built again.

    Arguments: what is wrong, and the packages that can't be had, a sentence each.
    """

    def __init__(self, problem: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(problem, missing)

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that can't be had, with reason and remedy."""
        found: tuple[str, ...] = self.args[1]
        return found

    def __str__(self) -> str:
        problem, missing = self.args
        return f"{problem}:\n  " + "\n  ".join(missing) if missing else str(problem)


class ReproduceError(ReprokitError, RuntimeError):
    """A run can't be repeated.  Arguments: what, and why with the remedy."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)

    def __str__(self) -> str:
        what, why = self.args
        return f"{what} {why}"


class UnknownFileError(RunNotFoundError):
    """No run made a file, or used it."""

    def __init__(self, wanted: str, vault: str, there: bool) -> None:
        super().__init__(wanted, vault)
        self.args = (wanted, vault, there)

    def __str__(self) -> str:
        wanted, vault, there = self.args
        if there:
            return f"no run in {vault} made {wanted!r} or used it; `reprokit whence` tells what was compared"
        return f"{wanted!r} is not there, and no run in {vault} made it or used it; `reprokit runs` lists the runs"
