"""A vault as its users see it: what was recorded in it, found, compared, traced and checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit import settings
from reprokit.catalog.index import ask
from reprokit.errors import VaultError

if TYPE_CHECKING:
    from datetime import datetime

    from reprokit.catalog.diff import Diff
    from reprokit.catalog.gc import Plan, Removed
    from reprokit.catalog.index import Index
    from reprokit.catalog.lineage import Lineage
    from reprokit.catalog.query.run_list import RunList
    from reprokit.catalog.run import Child, Run
    from reprokit.catalog.verify import Report
    from reprokit.catalog.whence import Origin


class Vault:
    """Everything that was recorded in a folder.  Reading runs nothing of what it finds.

    Parameters
    ----------
    path
        The vault's folder; by default that of the project that the working folder belongs to.

    Raises
    ------
    VaultError
        When there is no such folder.

    Examples
    --------
    >>> vault = Vault("vault")  # doctest: +SKIP
    >>> runs = vault.runs(where="config.lr < 0.1 and value.rmse < 3", sort="value.rmse")  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(os.path.abspath(path)) if path is not None else settings.current().vault
        if path is not None and not self.path.is_dir():
            raise VaultError(str(self.path), "there is no vault; give the folder that holds vault.json")

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    def runs(
        self,
        where: str | None = None,
        *,
        function: str | None = None,
        status: str | None = None,
        commit: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        tag: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        children: bool = False,
        repetitions: bool = False,
        reused: bool = False,
    ) -> RunList:
        """List runs, the newest first.

        Parameters
        ----------
        where
            An expression (see the page on queries), like ``config.lr < 0.1 and value.rmse < 3``.
        function, status, commit, tag
            What these are, exactly; `function` by its last part too, `commit` by its beginning.
        since, until
            When they began: a time, or a text like ``2h``, ``3d``, ``yesterday``, ``2026-11-01``.
        sort
            What to sort by, with ``-`` for the largest first: ``-started`` by default.
        limit
            At most so many.
        children
            Whether child runs are listed too.
        repetitions
            Whether runs that `reprokit.reproduce` made are listed too.
        reused
            Whether only those are listed whose result was used again, child runs among them: those that saved most first.

        Raises
        ------
        QueryError
            When an expression cannot be read; it shows where.
        """
        from reprokit.catalog import query

        return ask(
            self.path,
            lambda index: query.runs(
                index,
                where=where,
                function=function,
                status=status,
                commit=commit,
                since=since,
                until=until,
                tag=tag,
                sort=sort,
                limit=limit,
                children=children,
                repetitions=repetitions,
                reused=reused,
            ),
        )

    def find(self, wanted: str) -> Run | Child:
        """Find one run: ``@`` (the newest), its folder, the beginning of its id, a tag, or a file that it made.

        Raises
        ------
        RunNotFoundError, AmbiguousRunError
        """
        from reprokit.catalog import find

        return find.named(self.path, wanted)

    def whence(self, file: str | os.PathLike[str]) -> Origin:
        """Tell which run made a file, wherever it lies now.

        Raises
        ------
        OSError
            When it cannot be read.
        """
        from reprokit.catalog import whence

        template = settings.current().template
        return ask(self.path, lambda index: whence.whence(index, file, template))

    def lineage(self, wanted: str | os.PathLike[str], *, depth: int | None = None, stale: bool = False) -> Lineage:
        """Trace what went into a file or run, and what was made from it.

        Parameters
        ----------
        wanted
            A file, or a run as in `find`.
        depth
            At most so many runs away.
        stale
            Whether to look which files would come out differently today.

        Raises
        ------
        RunNotFoundError, AmbiguousRunError
        """
        from reprokit.catalog import lineage as lineages
        from reprokit.catalog.lineage import stale as staleness

        def question(index: Index) -> Lineage:
            found = lineages.trace(index, os.fspath(wanted), depth=depth)
            return staleness.mark(found, index) if stale else found

        return ask(self.path, question)

    def diff(self, a: str | Run | Child, b: str | Run | Child) -> Diff:
        """Compare two runs, or the runs that made two files.

        Raises
        ------
        RunNotFoundError, AmbiguousRunError
        """
        from reprokit.catalog.diff import diff

        runs = [self.find(wanted) if isinstance(wanted, str) else wanted for wanted in (a, b)]
        return diff(runs[0], runs[1], self.path)

    def verify(self, wanted: str | os.PathLike[str] | None = None, *, inputs: bool = False) -> Report:
        """Check that files and records are what was recorded: everything, or those of a run or file.

        Parameters
        ----------
        wanted
            A run as in `find`, or a file; None: everything, records, source trees and blobs too.
        inputs
            Whether changed and missing inputs are failures; else they are notes.

        Raises
        ------
        RunNotFoundError, AmbiguousRunError, VaultError
        """
        from reprokit.catalog.verify import verify

        return verify(self.path, wanted, inputs=inputs)

    def gc(
        self,
        *,
        keep_last: int | None = None,
        keep_days: float | None = None,
        keep_tagged: bool = True,
        results_unused: float | None = None,
        remove: bool = False,
    ) -> Plan | Removed:
        """Find what could be removed, and remove it when that is asked for.

        Without `keep_last` and `keep_days` all runs stay, and only what no run refers to goes.

        Parameters
        ----------
        keep_last
            The newest so many of each function, block or command stay.
        keep_days
            Those of the last so many days stay.
        keep_tagged
            Whether tagged runs stay.
        results_unused
            Results that were neither made nor used for so many days are forgotten; their runs stay.
        remove
            Whether it is removed.

        Raises
        ------
        UnreadableVaultError, BusyVaultError, VaultError
        """
        from reprokit.catalog import gc

        found = gc.plan(
            self.path, keep_last=keep_last, keep_days=keep_days, keep_tagged=keep_tagged, results_unused=results_unused
        )
        return gc.remove(found) if remove else found

    def tag(self, wanted: str, *names: str, remove: bool = False) -> None:
        """Give tags to a run, or take them back.

        Raises
        ------
        RunNotFoundError, AmbiguousRunError, VaultError
        """
        from reprokit.vault import marks

        marks.tag(self.find(wanted), names, remove=remove)

    def note(self, wanted: str, text: str) -> None:
        """Leave a note with a run.

        Raises
        ------
        RunNotFoundError, AmbiguousRunError, VaultError
        """
        from reprokit.vault import marks

        marks.note(self.find(wanted), text)
