"""A project as this process sees it: its settings, its vault, and the facts that are found out once."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from reprokit import settings as _settings
from reprokit._version import __version__
from reprokit.capture import host
from reprokit.model.redact import Redactor
from reprokit.model.text import printable
from reprokit.recorder import replayed
from reprokit.recorder.facts import Facts
from reprokit.vault.journal import Appender
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.recorder.plan import Refresh
    from reprokit.settings import Settings
    from reprokit.vault.runfolder import Written


class Project:
    """Settings, vault and facts of one project root; one object per process and root."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root: Path = settings.root
        self.vault = Vault(settings.vault)
        self.elsewhere: str | None = None  # this machine's name, when its disk is not the one that the project lies on
        self.process = host.process_id()
        self.journal = Appender(self.vault.journal, "", self.process.host)
        self.redactor = Redactor(settings.redact, known=_secret_values(Redactor(settings.redact)))
        self.argv, self.argv_secrets = self.redactor.argv(list(sys.orig_argv))
        self.last_contexts: dict[str | None, tuple[Any, Written]] = {}  # by function: what the last one held, and where
        self._facts: Facts | None = None
        self._cell = 0
        self._lock = threading.RLock()

    def facts(self, refresh: Refresh | None = None) -> Facts:
        """Give what is known of code and machine.

        Found out on first use, for what is loaded is what runs; again for each cell of IPython, and for each call with
        ``refresh="call"``.
        """
        cell = _cell()
        with self._lock:
            if self._facts is None or cell != self._cell or (refresh or self.settings.refresh) == "call":
                self._facts = self._found_out()
                self._cell = cell
            return self._facts

    def _found_out(self) -> Facts:
        identity = replayed.identity_of(self.root)
        if identity is None:
            return Facts(self.settings, self.vault, self.redactor)
        self.argv = identity.argv or self.argv
        return replayed.RestoredFacts(identity, self.settings, self.vault, self.redactor)

    def ensure_vault(self) -> None:
        """Make the vault when it is not there; raises `VaultError`."""
        self.vault.ensure(__version__)

    def relative(self, path: str) -> str:
        """Give a path as records have it: relative to the root where it lies inside, with POSIX separators."""
        root = str(self.root)
        inside = path.startswith(root + os.sep)
        text = path[len(root) + 1 :] if inside else path
        text = text.replace(os.sep, "/") if os.sep != "/" else text
        return printable(text)


_projects: dict[Path, Project] = {}
_lock = threading.RLock()


def current() -> Project:
    """Give the project of the present working folder.

    Raises
    ------
    SettingsError
        When its settings cannot be understood.
    """
    found = _settings.current()
    project = _projects.get(found.root)
    if project is None or project.settings is not found or project.process.pid != os.getpid():
        with _lock:
            project = _projects.get(found.root)
            if project is None or project.settings is not found or project.process.pid != os.getpid():
                project = _projects[found.root] = Project(found)
    return project


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _cell() -> int:
    """Give the number of the IPython cell that runs, 0 elsewhere."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return 0
    shell = ipython.get_ipython()
    return int(shell.execution_count) if shell is not None else 0


def _secret_values(redactor: Redactor) -> frozenset[str]:
    """Values of this process's environment and command line that are secrets by name, wherever they turn up."""
    named = frozenset(value for name, value in os.environ.items() if redactor.is_secret_name(name))
    return named | redactor.secrets_in(sys.orig_argv)
