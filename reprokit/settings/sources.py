"""Where settings come from: files and environment variables, read and merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.errors import SettingsError
from reprokit.settings.checks import Source
from reprokit.settings.values import Settings, Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILES = ("reprokit.toml", "pyproject.toml", "capsula.toml")
PREFIX = "REPROKIT_"
_OTHER_VARIABLES = {"REPROKIT_ROOT", "REPROKIT_PARENT", "REPROKIT_RUN_DIR", "REPROKIT_OPENED", "REPROKIT_REPRODUCE"}


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


def _own_keys(source: Source) -> dict[str, Callable[[str, Any], Any]]:
    return {
        "dirty": source.choice("tracked", "source", "all"),
        "allow-dirty": source.boolean,
        "strict": source.boolean,
        "refresh": source.choice("process", "call"),
        "exists": source.choice("replace", "keep", "error", "reuse"),
        "sidecar": source.boolean,
        "template": source.template,
        "redact": source.strings,
        "max-file-size": source.size,
        "max-diff-size": source.size,
        "max-bundle-size": source.size,
        "capture-random-state": source.boolean,
        "capture-packages": source.boolean,
    }


def _capture_keys(source: Source) -> dict[str, Callable[[str, Any], Any]]:
    return {
        "vault-directory": source.path,
        "run-template": source.string,
        "capsule-template": source.string,
        "include-cpu": source.boolean,
        "pre-capture-commands": source.strings,
        "environment-variables": source.strings,
    }


def _from_document(settings: Settings, document: dict[str, Any], prefix: str) -> Settings:
    source = Source(str(settings.source), prefix)
    own, capture = _own_keys(source), _capture_keys(source)
    if not isinstance(document, dict):
        raise SettingsError(source.name, prefix.rstrip("."), f"{document!r} is no table")
    top = source.known("", document, {*own, "capture", "monitor", "reproduce", "reuse"})
    changes: dict[str, Any] = {_field(key): own[key](key, value) for key, value in top.items() if key in own}
    table = source.known("capture", source.table("capture", top.get("capture", {})), {*capture, "files", "git"})
    for key, value in table.items():
        if key in capture:
            changes[_field(key)] = capture[key](f"capture.{key}", value)
    changes["capture_files"] = source.rules("capture.files", table.get("files", {}))
    git = source.known("capture.git", source.table("capture.git", table.get("git", {})), {"repositories"})
    repositories = source.table("capture.git.repositories", git.get("repositories", {}))
    changes["repositories"] = {n: source.path(f"capture.git.repositories.{n}", p) for n, p in repositories.items()}
    monitor = source.known("monitor", source.table("monitor", top.get("monitor", {})), {"item", "files"})
    if "files" in monitor:
        changes["files"] = source.choice("auto")("monitor.files", monitor["files"])
    changes["items"] = {
        name: source.rules(
            f"monitor.item.{name}.files",
            source.known(f"monitor.item.{name}", source.table(f"monitor.item.{name}", item), {"files"}).get(
                "files", {}
            ),
        )
        for name, item in source.table("monitor.item", monitor.get("item", {})).items()
    }
    again = source.known("reproduce", source.table("reproduce", top.get("reproduce", {})), {"rtol", "atol", "output"})
    changes["tolerance"] = Tolerance(
        rtol=source.number("reproduce.rtol", again.get("rtol", settings.tolerance.rtol)),
        atol=source.number("reproduce.atol", again.get("atol", settings.tolerance.atol)),
    )
    reuse = source.known("reuse", source.table("reuse", top.get("reuse", {})), {"enabled", "python", "wait", "link"})
    if "enabled" in reuse:
        changes["reuse"] = source.boolean("reuse.enabled", reuse["enabled"])
    if "python" in reuse:
        changes["reuse_python"] = source.choice("minor", "any")("reuse.python", reuse["python"])
    if "wait" in reuse:
        changes["reuse_wait"] = source.number("reuse.wait", reuse["wait"])
    if "link" in reuse:
        changes["reuse_link"] = source.choice("read-only", "always", "never")("reuse.link", reuse["link"])
    changes["outputs"] = source.outputs("reproduce.output", again.get("output", {}))
    return msgspec.structs.replace(settings, **changes)


def _from_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    changes: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in _OTHER_VARIABLES:
            continue
        source = Source(name)
        keys = {**_own_keys(source), **_capture_keys(source), "reuse": source.boolean}
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
