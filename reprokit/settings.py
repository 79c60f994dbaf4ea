"""Settings: ``reprokit.toml``, ``[tool.reprokit]`` in ``pyproject.toml`` or ``capsula.toml``, then ``REPROKIT_*``.

One frozen value comes out.  The tables ``[capture]`` and ``[monitor]`` have the keys of capsula 0.0.19; our own keys
stand at the top level.  ``-`` and ``_`` in keys are the same.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from reprokit.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILES = ("reprokit.toml", "pyproject.toml", "capsula.toml")
PREFIX = "REPROKIT_"
_MARKS = (".git", "reprokit.toml", "capsula.toml")  # and a pyproject.toml with our table
_OTHER_VARIABLES = {"REPROKIT_ROOT", "REPROKIT_PARENT", "REPROKIT_RUN_DIR"}
_ALGORITHMS = ("md5", "sha1", "sha256", "sha3")


class FileRule(msgspec.Struct, frozen=True):
    """What to do with a file: hash it, copy it or move it into the run folder."""

    hash: Literal["md5", "sha1", "sha256", "sha3"] | None = None
    copy: bool = False
    move: bool = False


class Settings(msgspec.Struct, frozen=True):
    """All settings of a project.

    Attributes
    ----------
    root : Path
        The project root.
    source : Path or None
        The file they were read from.
    dirty
        What makes a repository dirty: ``"tracked"`` changes, those and new ``*.py`` files (``"source"``), or ``"all"``
        new files too.
    max_file_size, max_diff_size : int
        In bytes.
    """

    root: Path
    source: Path | None = None
    vault_directory: str = "vault"
    run_template: str = "%Y%m%d_%H%M%S"
    include_cpu: bool = True
    pre_capture_commands: tuple[str, ...] = ()
    environment_variables: tuple[str, ...] = ()
    capture_files: Mapping[str, FileRule] = {}
    repositories: Mapping[str, str] = {}
    items: Mapping[str, Mapping[str, FileRule]] = {}
    dirty: Literal["tracked", "source", "all"] = "source"
    allow_dirty: bool = False
    strict: bool = False
    refresh: Literal["process", "call"] = "process"
    exists: Literal["replace", "keep", "error"] = "replace"
    sidecar: bool = True
    template: str | None = None
    redact: tuple[str, ...] = ()
    max_file_size: int = 50_000_000
    max_diff_size: int = 100_000_000
    capture_random_state: bool = True
    capture_packages: bool = True

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        return self.root / os.path.expanduser(self.vault_directory)


def find_root(cwd: Path, script: Path | None = None) -> Path:
    """Find the project that a working folder belongs to.

    The first folder upwards that holds ``reprokit.toml``, ``capsula.toml``, a ``pyproject.toml`` with
    ``[tool.reprokit]``, or a git repository; else the same from the running script's folder; else the working folder.
    """
    return _upwards(cwd) or (_upwards(script.parent) if script is not None else None) or cwd


def load(root: Path, environ: Mapping[str, str]) -> Settings:
    """Read the settings of the project at `root`.

    Raises
    ------
    SettingsError
        When a file or variable holds an unknown key or a wrong value; it names file, key and the nearest valid key.
    """
    settings = Settings(root=root)
    for name in FILES:
        path = root / name
        document = _read(path)
        if name == "pyproject.toml" and document is not None:
            tools = document.get("tool")
            document = tools.get("reprokit") if isinstance(tools, dict) else None
        if document is not None:
            prefix = "tool.reprokit." if name == "pyproject.toml" else ""
            settings = _from_document(msgspec.structs.replace(settings, source=path), document, prefix)
            break
    return _from_environment(settings, environ)


_cache: dict[Path, tuple[Any, Settings]] = {}
_roots: dict[str, tuple[Path, float]] = {}  # working folder -> its root, and when it was looked for
_last_root: Path | None = None
_UNMARKED = 1.0  # seconds for which a folder without any mark upwards is taken to stay so


def current() -> Settings:
    """Give the settings of the present working folder's project; read again when a file or variable changed.

    Raises
    ------
    SettingsError
        See `load`.
    """
    global _last_root
    named = os.environ.get("REPROKIT_ROOT")
    try:
        if named:
            root = _named(os.path.abspath(named))
        else:
            place = os.getcwd()
            known_root = _roots.get(place)
            if known_root is None or not _still(place, *known_root):
                known_root = _roots[place] = find_root(Path(place), _script()), time.monotonic()
            root = known_root[0]
    except FileNotFoundError:  # the working folder was deleted
        script = _script()
        root = _last_root or (find_root(script.parent) if script else Path("/"))
    _last_root = root
    key = (_stamps(root), _own_variables())
    known = _cache.get(root)
    if known is None or known[0] != key:
        known = _cache[root] = (key, load(root, os.environ))
    return known[1]


def _own_variables() -> tuple[tuple[str, str], ...]:
    """Give the variables that are settings; as bytes, for decoding a whole environment takes longer than the rest."""
    if not hasattr(os, "environb"):
        return tuple((name, value) for name, value in os.environ.items() if name.startswith(PREFIX))
    raw = PREFIX.encode()
    return tuple((os.fsdecode(name), os.fsdecode(os.environb[name])) for name in os.environb if name.startswith(raw))


@functools.lru_cache(maxsize=64)
def _named(path: str) -> Path:
    if not os.path.isdir(path):  # it would be made, with a vault in it
        raise SettingsError("environment variable REPROKIT_ROOT", "", f"{path!r} is no folder")
    return Path(path)


def _still(place: str, root: Path, looked: float) -> bool:
    """Tell whether a root found earlier need not be looked for again: it has a mark, and the place got none since."""
    if place != str(root) and any(os.path.exists(os.path.join(place, mark)) for mark in _MARKS):
        return False
    if os.path.exists(os.path.join(root, ".git")) or any(_stamps(root)):
        return True
    return time.monotonic() - looked < _UNMARKED


def _stamps(root: Path) -> tuple[tuple[int, int] | None, ...]:
    found: list[tuple[int, int] | None] = []
    for name in FILES:
        try:
            stat = os.stat(os.path.join(root, name))
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _script() -> Path | None:
    """The script that runs, when it is a file of the user's own."""
    name = getattr(sys.modules.get("__main__"), "__file__", None)
    if not name or "site-packages" in name or "dist-packages" in name:
        return None
    path = Path(os.path.abspath(name)) if os.path.isabs(name) else Path(sys.argv[0])
    return path if path.is_absolute() and path.is_file() and not str(path).startswith(sys.prefix + os.sep) else None


def _upwards(folder: Path) -> Path | None:
    for candidate in (folder, *folder.parents):
        if any((candidate / name).is_file() for name in ("reprokit.toml", "capsula.toml")):
            return candidate
        project = candidate / "pyproject.toml"
        if project.is_file() and b"[tool.reprokit" in _bytes(project):
            return candidate
        if (candidate / ".git").exists():
            return candidate
    return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(str(path), "", f"cannot be read: {error.strerror}") from error
    if path.name == "pyproject.toml" and b"reprokit" not in data:
        return None  # whatever is wrong in it is not ours to tell
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingsError(str(path), "", f"not UTF-8 at byte {error.start}; TOML files are UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(str(path), "", f"not TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(str(path), "", "nested too deeply") from error


# --- values --------------------------------------------------------------------------------------------------------


class _Source:
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
        from reprokit.errors import NamingError
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

    def known(self, key: str, table: dict[str, Any], allowed: set[str]) -> dict[str, Any]:
        made = {}
        for name, value in table.items():
            plain = name.replace("_", "-")
            if plain not in allowed:
                import difflib

                near = difflib.get_close_matches(plain, sorted(allowed), 1, 0.5)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(sorted(allowed))}"
                raise self.fail(f"{key}.{name}" if key else name, f"unknown key{hint}")
            made[plain] = value
        return made


def _own_keys(source: _Source) -> dict[str, Callable[[str, Any], Any]]:
    return {
        "dirty": source.choice("tracked", "source", "all"),
        "allow-dirty": source.boolean,
        "strict": source.boolean,
        "refresh": source.choice("process", "call"),
        "exists": source.choice("replace", "keep", "error"),
        "sidecar": source.boolean,
        "template": source.template,
        "redact": source.strings,
        "max-file-size": source.size,
        "max-diff-size": source.size,
        "capture-random-state": source.boolean,
        "capture-packages": source.boolean,
    }


def _capture_keys(source: _Source) -> dict[str, Callable[[str, Any], Any]]:
    return {
        "vault-directory": source.path,
        "run-template": source.string,
        "capsule-template": source.string,
        "include-cpu": source.boolean,
        "pre-capture-commands": source.strings,
        "environment-variables": source.strings,
    }


def _from_document(settings: Settings, document: dict[str, Any], prefix: str) -> Settings:
    source = _Source(str(settings.source), prefix)
    own, capture = _own_keys(source), _capture_keys(source)
    if not isinstance(document, dict):
        raise SettingsError(source.name, prefix.rstrip("."), f"{document!r} is no table")
    top = source.known("", document, {*own, "capture", "monitor"})
    changes: dict[str, Any] = {_field(key): own[key](key, value) for key, value in top.items() if key in own}
    table = source.known("capture", source.table("capture", top.get("capture", {})), {*capture, "files", "git"})
    for key, value in table.items():
        if key in capture:
            changes[_field(key)] = capture[key](f"capture.{key}", value)
    changes["capture_files"] = source.rules("capture.files", table.get("files", {}))
    git = source.known("capture.git", source.table("capture.git", table.get("git", {})), {"repositories"})
    repositories = source.table("capture.git.repositories", git.get("repositories", {}))
    changes["repositories"] = {n: source.path(f"capture.git.repositories.{n}", p) for n, p in repositories.items()}
    monitor = source.known("monitor", source.table("monitor", top.get("monitor", {})), {"item"})
    changes["items"] = {
        name: source.rules(
            f"monitor.item.{name}.files",
            source.known(f"monitor.item.{name}", source.table(f"monitor.item.{name}", item), {"files"}).get(
                "files", {}
            ),
        )
        for name, item in source.table("monitor.item", monitor.get("item", {})).items()
    }
    return msgspec.structs.replace(settings, **changes)


def _from_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    changes: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in _OTHER_VARIABLES:
            continue
        source = _Source(name)
        keys = {**_own_keys(source), **_capture_keys(source)}
        key = name[len(PREFIX) :].lower().replace("_", "-")
        if key not in keys:
            import difflib

            near = difflib.get_close_matches(key, keys, 1, 0.5)
            hint = f"; did you mean {PREFIX}{near[0].upper().replace('-', '_')}?" if near else ""
            raise SettingsError(f"environment variable {name}", "", f"no such setting{hint}")
        value: Any = text
        check = keys[key]
        if check == source.boolean:
            value = {
                "1": True,
                "true": True,
                "yes": True,
                "on": True,
                "0": False,
                "false": False,
                "no": False,
                "off": False,
                "": False,
            }.get(text.strip().lower(), text)
        elif check == source.strings:
            value = [part.strip() for part in text.split(",") if part.strip()]
        try:
            changes[_field(key)] = check("", value)
        except SettingsError as error:
            raise SettingsError(f"environment variable {name}", "", error.args[2]) from None
    return msgspec.structs.replace(settings, **changes) if changes else settings


def _field(key: str) -> str:
    return "run_template" if key == "capsule-template" else key.replace("-", "_")
