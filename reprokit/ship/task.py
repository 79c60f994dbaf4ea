"""What travels: a task to a worker, its outcome back, and the manifest that many tasks share.

A task is bytes of our own, so that a scheduler in between can pickle it again as often as it likes.  Everything that
decides whether a worker may unpickle a task at all stands in the manifest, which needs no unpickling.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from typing import Any, Literal, NamedTuple

import msgspec

from reprokit._version import __version__
from reprokit.errors import CodeMismatchError
from reprokit.recorder.origin import Origin

WIRE = 1  # version of all that is defined here
PYTHON = f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What all tasks of one function, code and sending run have in common.

    Attributes
    ----------
    bundle
        Digest of the code that they need; None when they need none of the project's.
    function, name
        Module-qualified and short name of the function.
    closure_digest
        Of the function, as the driver computed it.
    packages
        Installed distributions that the function's code names, with the driver's versions.
    strict
        Whether another version of one of those is an error.
    origin
        The run that sends the tasks; None when nothing is recorded.
    """

    function: str
    name: str
    wire: int = WIRE
    python: str = PYTHON
    reprokit: str = __version__
    bundle: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    closure_digest: str | None = None
    packages: dict[str, str] = {}
    strict: bool = False
    origin: Origin | None = None

    def check(self) -> None:
        """Refuse what this process cannot run.

        Raises
        ------
        CodeMismatchError
            When the driver has another minor version of Python, or a reprokit that speaks otherwise.
        """
        if self.python != PYTHON:
            raise CodeMismatchError(
                "the worker's Python differs from the driver's, and byte code does not travel between them",
                self.python,
                f"{PYTHON} ({sys.executable})",
            )
        if self.wire != WIRE:
            raise CodeMismatchError("the worker's reprokit differs from the driver's", self.reprokit, __version__)


class Task(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One call, or several of one function.

    Attributes
    ----------
    manifest
        Its digest, 32 bytes.
    number
        Names the task among all of all drivers, 12 bytes.
    parent
        Id of the run that sends it, 16 bytes; empty when nothing is recorded.
    payload
        The pickled call: function, arguments and keywords; or function and many argument lists.
    many
        Whether it holds several calls.
    cargo
        Bundle and manifest, when the worker has said that it knows them not.
    """

    manifest: bytes
    number: bytes
    parent: bytes
    payload: bytes
    many: bool = False
    cargo: dict[str, bytes] = {}


class Outcome(NamedTuple):
    """What a worker answers.

    Attributes
    ----------
    state
        ``"done"``: `payload` holds the pickled result; ``"failed"``: the pickled error; ``"refused"``: the error of a worker
        that could not even begin; ``"missing"``: the worker lacks the cargo that `payload` names.
    lines, files
        What its child runs recorded.
    """

    state: Literal["done", "failed", "refused", "missing"]
    payload: bytes
    lines: bytes = b""
    files: dict[str, bytes] | None = None


_encoder = msgspec.msgpack.Encoder(enc_hook=str)
_task_decoder = msgspec.msgpack.Decoder(Task)
_manifest_decoder = msgspec.msgpack.Decoder(Manifest)
encode = _encoder.encode


def decode_task(data: bytes) -> Task:
    """Read a task from bytes."""
    return _task_decoder.decode(data)


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest from bytes.

    Raises
    ------
    CodeMismatchError
        When another version of reprokit wrote it.
    """
    try:
        return _manifest_decoder.decode(data)
    except msgspec.ValidationError as error:
        wrote: Any = msgspec.msgpack.decode(data)
        theirs = wrote.get("reprokit") if isinstance(wrote, dict) else None
        raise CodeMismatchError("the worker's reprokit differs from the driver's", str(theirs), __version__) from error


def digest(data: bytes) -> bytes:
    """SHA-256 of bytes, raw."""
    return hashlib.sha256(data).digest()
