"""What a person says of a run afterwards: tags and notes, appended as lines to files in the run's folder."""

from __future__ import annotations

import platform
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from reprokit.errors import MarkError, RunNotFoundError, VaultError
from reprokit.model.records import JournalLine, MarkRecord
from reprokit.model.redact import Redactor
from reprokit.model.text import printable
from reprokit.vault import atomic, documents
from reprokit.vault.journal import Appender
from reprokit.vault.runfolder import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_TAG = 100  # characters
LONGEST_NOTE = 100_000  # characters
_ID = re.compile(r"[0-9a-f]{1,32}\Z")


class Marked(Protocol):
    """A run as the catalogue gives it: a root run, or one of its child runs."""

    @property
    def run_id(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def root(self) -> Marked: ...


def check_tag(name: str) -> str:
    """Give a tag's name back when it can be one.

    Raises
    ------
    MarkError
        When it is empty, longer than 100 characters, holds white space or characters that can't be seen, or could be
        taken for (the beginning of) a run's id, for ``@`` or for an option.
    """
    if not name:
        raise MarkError(name, "a tag needs a name")
    if len(name) > LONGEST_TAG:
        raise MarkError(name[:20] + "...", f"a tag may have {LONGEST_TAG} characters, this one has {len(name)}")
    if not name.isprintable() or any(letter.isspace() for letter in name):
        raise MarkError(name, "a tag holds no white space and no control characters; write fig-3, not 'fig 3'")
    if _ID.match(name):
        raise MarkError(name, "this could be the beginning of a run's id; add a letter beyond a-f, or a hyphen")
    if Redactor().text(name)[0] != name:
        raise MarkError("tag", "it looks like a secret, which is never written; choose another name")
    if name.startswith(("@", "-")):
        raise MarkError(name, "a tag doesn't begin with @ (the newest run) or - (an option)")
    return name


def tag(run: Marked, names: Iterable[str], *, remove: bool = False) -> list[str]:
    """Give a run tags, or take them back; give back what was written.

    Raises
    ------
    MarkError
        When a name can't be a tag; nothing is written then.
    RunNotFoundError
        When its folder is gone.
    VaultError
        When the vault can't be written.
    """
    wanted = list(dict.fromkeys(names))
    if remove:
        return _append(run, "untag", wanted)
    return _append(run, "tag", [check_tag(name) for name in wanted])


def note(run: Marked, text: str, redactor: Redactor | None = None) -> str:
    """Leave a note at a run; give back what was written, secrets taken out.

    Raises
    ------
    MarkError
        When there is no text, or more than 100,000 characters.
    RunNotFoundError
        When the run's folder is gone.
    VaultError
        When the vault can't be written.
    """
    text = printable(text).strip()
    if not text:
        raise MarkError("note", "it holds no text")
    if len(text) > LONGEST_NOTE:
        raise MarkError(
            "note", f"it may have {LONGEST_NOTE:,} characters, this one has {len(text):,}; keep it as a file"
        )
    shown, _ = (redactor or Redactor()).text(text)
    return _append(run, "note", [shown])[0]


def verdict(run: Marked, text: str) -> None:
    """Keep how a reproduction came out with the run that it was.

    Raises
    ------
    RunNotFoundError
        When the run's folder is gone.
    VaultError
        When the vault can't be written.
    """
    _append(run, "verdict", [text])


def _append(run: Marked, event: Literal["tag", "untag", "note", "verdict"], texts: list[str]) -> list[str]:
    """Append a line for each text, then tell the journal; the lines last when this returns."""
    if not texts:
        return []
    root, now = run.root, datetime.now().astimezone().isoformat()
    place = root.folder.parent.parent
    records = [MarkRecord(event=event, run_id=run.run_id, text=text, timestamp=now) for text in texts]
    line = JournalLine(event="mark", run_id=root.run_id, folder=root.folder.name, timestamp=now)
    marks = Appender(root.folder, MARKS, platform.node())
    journal = Appender(place / "journal", "", platform.node())
    try:
        marks.append_lines(b"".join(documents.encode(record, pretty=False) for record in records))
        marks.close(sync=True)
        atomic.sync_folder(str(root.folder))
        journal.append(line)
    except FileNotFoundError as error:
        raise RunNotFoundError(run.run_id[:12], str(place)) from error
    except OSError as error:
        raise VaultError(
            str(root.folder), f"cannot keep the {event}: {error.strerror or error}; the vault has to be writable for it"
        ) from error
    finally:
        marks.close()
        journal.close()
    return texts
