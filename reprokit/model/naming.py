"""Names of artifacts: ``<stem>-<commit>-<hash><ext>``, made and read back."""

from __future__ import annotations

import os
import re
from functools import lru_cache

import msgspec

from reprokit.errors import NamingError

DEFAULT = "{stem}-{commit}-{hash}{ext}"
SIDECAR = ".run.json"
LONGEST = 255  # bytes of a file name on the file systems in use
HASH_DIGITS = 10

_SEPARATORS = "/\\" if os.name == "nt" else "/"
# The end of a dirty commit looks like a clean one, so what stands before decides.
_COMMIT = r"nogit|(?<![0-9a-f]{7}-dirty-)[0-9a-f]{7}(?:-dirty(?:-[0-9a-f]{7})?)?"
_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".z", ".br"})
_INNER = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,6}\Z")  # ".tar", ".nii", ".csv"; not the ".2" of "v1.2"
_FIELD = re.compile(r"\{(stem|commit|hash|ext)(?::(\d+))?\}")


class Parsed(msgspec.Struct, frozen=True):
    """A tagged name, taken apart."""

    stem: str
    commit: str
    hash: str
    ext: str

    @property
    def requested(self) -> str:
        """The name before tagging."""
        return self.stem + self.ext


def split(name: str) -> tuple[str, str]:
    """Split a file name into stem and extension; the double suffix of a compressed file stays whole."""
    dot = name.rfind(".")
    if dot <= 0 or not name[:dot].strip(".") or dot == len(name) - 1:
        return name, ""
    stem, ext = name[:dot], name[dot:]
    if ext.lower() in _COMPRESSED:
        inner = _INNER.search(stem)
        if inner and inner.start() > 0 and stem[: inner.start()].strip("."):
            return stem[: inner.start()], inner.group() + ext
    return stem, ext


def tag(path: str, commit: str, config_hash: str, template: str | None = None) -> str:
    """Put commit and config hash into a path's last part.

    A name that carries exactly this commit and hash already stays as it is, so that a function which hands its tagged
    path on to another one tags it once.

    Parameters
    ----------
    path
        File or folder; a trailing separator stays.
    commit
        ``1a2b3c4``, ``1a2b3c4-dirty-9f86d08`` or ``nogit``.
    config_hash
        Hex digits, of which the template takes the first (10 by default).

    Raises
    ------
    NamingError
        When the path has no last part, or the tagged name is too long for a file system.
    """
    head, name, tail = _parts(path)
    if "\0" in name:
        raise NamingError(path, "no file name can hold a null character; leave it out")
    if name in ("", ".", ".."):
        raise NamingError(path, "there is no file name to tag; give the path of a file or folder")
    form = template or DEFAULT
    before = parse(name, form) if form != DEFAULT or "-" in name else None
    digits = _digits(form)
    if before is not None and before.commit == commit and before.hash == config_hash[:digits]:
        tagged = name
    else:
        stem, ext = split(name)
        tagged = _fill(form, stem, commit, config_hash, ext)
        # Without a hyphen of its own, a name can't look like a part of the default form.
        if (form != DEFAULT or "-" in name) and parse(tagged, form) != Parsed(stem, commit, config_hash[:digits], ext):
            raise NamingError(
                path, "this name looks like a part of a tag, so the tagged one could not be read back; rename it"
            )
    try:
        length = len(tagged.encode("utf-8", "surrogateescape")) + len(SIDECAR)
    except UnicodeEncodeError as error:
        raise NamingError(path, "it holds half a surrogate pair, which no file name can; rename it") from error
    if length > LONGEST:
        raise NamingError(
            path,
            f"the tagged name and its side-car's suffix take {length} bytes, a file name holds {LONGEST}; "
            f"shorten the name by {length - LONGEST}",
        )
    return head + tagged + tail


def parse(name: str, template: str | None = None) -> Parsed | None:
    """Read a tagged name (the last part of a path) back; None when it is none.

    The last tag in the name counts: a stem that itself looks tagged is part of the requested name.
    """
    found = _pattern(template or DEFAULT).fullmatch(name.rstrip(_SEPARATORS))
    if found is None:
        return None
    parts = found.groupdict()
    stem, ext = parts["stem"], parts["ext"]
    if not ext:
        stem, ext = split(stem) if (template or DEFAULT).endswith("{stem}{ext}") else (stem, ext)
    return Parsed(stem=stem, commit=parts["commit"], hash=parts["hash"], ext=ext)


def tree_in(commit: str | None) -> str | None:
    """Give the beginning of the tree's digest that the name of a dirty state holds: ``1a2b3c4-dirty-9f86d08``."""
    _, dirty, digits = (commit or "").partition("-dirty-")
    return digits if dirty and digits else None


def sidecar_name(path: str) -> str:
    """The side-car's path for an artifact's."""
    return path + SIDECAR


@lru_cache(maxsize=64)
def check_template(template: str) -> str:
    """Give the template back when names made with it can be read back.

    Raises
    ------
    NamingError
        When a field is missing, unknown or twice there, or two fields touch without anything between them.
    """
    fields = [m.group(1) for m in _FIELD.finditer(template)]
    for field in ("stem", "commit", "hash", "ext"):
        if fields.count(field) != 1:
            raise NamingError(template, f"a template needs {{{field}}} once; the default is {DEFAULT!r}")
    if not template.endswith("{ext}"):
        raise NamingError(template, "{ext} must stand at the end")
    if re.search(r"[{}]", _FIELD.sub("", template)) or re.search(r"[/\\\x00]", template):
        raise NamingError(
            template, "only {stem}, {commit}, {hash} or {hash:N}, and {ext} may stand in braces, and no separator"
        )
    if re.search(r"\}\{(?!ext)", template) or "{commit}{" in template:
        raise NamingError(template, "fields need a character between them, else the name can't be read back")
    if not 4 <= _digits(template) <= 64:
        raise NamingError(template, "{hash:N} takes 4 to 64 digits")
    return template


@lru_cache(maxsize=64)
def _digits(template: str) -> int:
    return next(
        (int(m.group(2)) for m in _FIELD.finditer(template) if m.group(1) == "hash" and m.group(2)), HASH_DIGITS
    )


@lru_cache(maxsize=64)
def _pattern(template: str) -> re.Pattern[str]:
    check_template(template)
    forms = {
        "stem": r"(?P<stem>.+)",  # greedy: the last tag in the name is the tag
        "commit": f"(?P<commit>{_COMMIT})",
        "hash": rf"(?P<hash>[0-9a-f]{{{_digits(template)}}})",
        "ext": r"(?P<ext>(?:\..+)?)",
    }
    pattern, end = "", 0
    for found in _FIELD.finditer(template):
        pattern += re.escape(template[end : found.start()]) + forms[found.group(1)]
        end = found.end()
    return re.compile(pattern + re.escape(template[end:]), re.DOTALL)


def _fill(template: str, stem: str, commit: str, config_hash: str, ext: str) -> str:
    if template == DEFAULT:
        return f"{stem}-{commit}-{config_hash[:HASH_DIGITS]}{ext}"
    check_template(template)
    values = {"stem": stem, "commit": commit, "hash": config_hash[: _digits(template)], "ext": ext}
    return _FIELD.sub(lambda found: values[found.group(1)], template)


def _parts(path: str) -> tuple[str, str, str]:
    """Split a path into what comes before its last part, the last part, and trailing separators."""
    # Elsewhere than on Windows, a backslash is a letter like others, except in what can only be a path from there.
    windows = os.name == "nt" or re.match(r"[A-Za-z]:\\|\\\\", path) is not None
    bare = path.rstrip("/\\" if windows else "/")
    tail = path[len(bare) :]
    cut = max(bare.rfind("/"), bare.rfind("\\") if windows else -1)
    return bare[: cut + 1], bare[cut + 1 :], tail
