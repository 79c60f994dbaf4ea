"""A lineage as a graph of files and runs.  PROV: Entity, Activity, used, wasGeneratedBy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileNode(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder with one content.

    Attributes
    ----------
    key : str
        Names it in the graph: its digest, or its path where that is not known.
    paths : list of str
        Where runs wrote or read this content, the last first.
    digest : str or None
    size : int or None
        Bytes.
    """

    key: str
    paths: list[str]
    digest: str | None
    size: int | None


class RunNode(msgspec.Struct, frozen=True, kw_only=True):
    """A run; `row` is its place in the index.  One that was `reused_from` another gave what that one had made."""

    key: str
    run_id: str
    row: int
    what: str
    status: str
    started: float  # seconds since the epoch
    commit: str | None
    config_hash: str | None
    reused_from: str | None = None


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A run used or generated a file.

    Attributes
    ----------
    exact : bool
        False when the file has another content than the run wrote there: somebody changed it in between.
    path : str
        What the file was called when this run wrote or used it: its content may have been elsewhere too.
    via : str or None
        The run around, within or beside it that did so, when it was not that run itself.
    """

    run: str
    file: str
    kind: Literal["used", "generated"]
    path: str
    exact: bool = True
    via: str | None = None


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """What a file or a run comes from, and what comes from it.

    Attributes
    ----------
    focus : str
        Key of what was asked for.
    files, runs : dict
        Nodes by key.
    edges : list of Edge
    cut : bool
        Whether there was more than could be followed.
    stale : dict or None
        Key of a file -> why it would come out differently today; None when that was not looked at.
    notes : list of str
        What is to be said of the file that was asked for.
    """

    focus: str
    files: dict[str, FileNode]
    runs: dict[str, RunNode]
    edges: list[Edge]
    cut: bool = False
    stale: dict[str, list[str]] | None = None
    notes: list[str] = []

    def above(self, key: str) -> Iterator[tuple[str, Edge]]:
        """Give what a node comes from: of a file the runs that made it, of a run the files that it used."""
        for edge in self.edges:
            if key == edge.file and edge.kind == "generated":
                yield edge.run, edge
            elif key == edge.run and edge.kind == "used":
                yield edge.file, edge

    def below(self, key: str) -> Iterator[tuple[str, Edge]]:
        """Give what comes from a node: of a file the runs that used it, of a run the files that it made."""
        for edge in self.edges:
            if key == edge.file and edge.kind == "used":
                yield edge.run, edge
            elif key == edge.run and edge.kind == "generated":
                yield edge.file, edge

    def summary(self) -> dict[str, Any]:
        """The graph for programs, as JSON has it."""
        return {
            "schema": "reprokit/lineage/1",
            "focus": self.focus,
            "files": list(self.files.values()),
            "runs": [{**msgspec.structs.asdict(run), "row": None} for run in self.runs.values()],
            "edges": self.edges,
            "cut": self.cut,
            "stale": self.stale,
            "notes": self.notes,
        }

    def mermaid(self) -> str:
        """Give the graph in Mermaid's language (https://mermaid.js.org)."""
        from reprokit.catalog.lineage import draw

        return draw.mermaid(self)

    def dot(self) -> str:
        """Give the graph in the language of Graphviz (https://graphviz.org/doc/info/lang.html)."""
        from reprokit.catalog.lineage import draw

        return draw.dot(self)

    def _repr_html_(self) -> str:
        from reprokit.catalog.lineage import draw

        return draw.html(self)
