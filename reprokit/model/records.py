"""The records that reprokit writes, as frozen values.

Each document carries ``schema = "reprokit/<document>/<version>"``.  Keys that capsula 0.0.19 knows keep its names and
types, so that its models read these files; reprokit adds more.  A fact that could not be found out is ``None`` and its
reason stands under ``unknown``.  Times are ISO 8601 with zone, durations ISO 8601 (``PT1.5S``), sizes bytes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Status = Literal["running", "complete", "failed", "exited", "interrupted"]
Kind = Literal["function", "block", "command", "capture"]
Role = Literal["generated", "used", "missing"]

CONTEXT_SCHEMA = "reprokit/context/1"
PRE_RUN_SCHEMA = "reprokit/pre-run-info/1"
POST_RUN_SCHEMA = "reprokit/post-run-info/1"
SIDECAR_SCHEMA = "reprokit/run/1"
STEP_SCHEMA = "reprokit/step/1"
JOURNAL_SCHEMA = "reprokit/journal/1"
MARK_SCHEMA = "reprokit/mark/1"
VAULT_SCHEMA = "reprokit/vault/1"
REUSE_SCHEMA = "reprokit/reuse/1"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


# --- facts about the machine and the interpreter -------------------------------------------------------------------


class Architecture(Record, frozen=True, kw_only=True):
    bits: str | None
    linkage: str | None


class PythonInfo(Record, frozen=True, kw_only=True):
    executable_architecture: Architecture
    build_no: str
    build_date: str
    compiler: str
    branch: str
    implementation: str
    version: str
    executable: str | None = None
    prefix: str | None = None
    base_prefix: str | None = None
    flags: list[str] = []  # those that change what code does: -O, -I, -X dev ...


class Platform(Record, frozen=True, kw_only=True):
    machine: str
    node: str
    platform: str
    release: str
    version: str
    system: str
    processor: str
    python: PythonInfo
    user: str | None = None


class Gpu(Record, frozen=True, kw_only=True):
    name: str
    uuid: str | None = None
    memory: int | None = None  # bytes
    driver: str | None = None
    cuda: str | None = None  # highest CUDA version that the driver serves, "13.0"


class Package(Record, frozen=True, kw_only=True):
    name: str
    version: str
    direct_url: dict[str, Any] | None = None  # PEP 610, user info stripped


class GitRemote(Record, frozen=True, kw_only=True):
    name: str
    url: str  # user info stripped


class GitInfo(Record, frozen=True, kw_only=True):
    """State of one repository when the process first asked."""

    path: str  # relative to the project root where it lies inside, else absolute
    sha: str | None  # None: no commit yet, or unreadable; the reason stands under ``unknown``
    branch: str  # "HEAD" when detached, "" when unreadable
    remotes: list[GitRemote] = []
    detached: bool = False
    bare: bool = False
    shallow: bool = False
    operation: str | None = None  # "merge", "rebase", "cherry-pick", "revert", "bisect" while one is in progress
    dirty: bool | None = None  # None: not known
    changed: list[str] = []  # what makes it dirty: paths relative to the repository, POSIX
    changed_count: int = 0
    diff: str | None = None  # file in the run folder
    diff_digest: str | None = None
    submodules: list[str] = []
    unknown: dict[str, str] = {}  # fact -> why it is not known


class LeftOut(Record, frozen=True, kw_only=True):
    """A file that a snapshot does not hold."""

    path: str
    reason: str  # "larger than max-file-size", "secret by name", "unreadable: ...", "content is in Git LFS; ...", ...
    size: int | None = None
    digest: str | None = None


class NestedTree(Record, frozen=True, kw_only=True):
    """A repository within a snapshot: a submodule, a worktree, a clone.  It is kept as a tree of its own."""

    path: str  # relative to the snapshot's root, or to that of the tree around it
    digest: str | None = None  # of its tree; None when it is not checked out
    commit: str | None = None  # checked out there, or to be checked out; None: it has none yet, or is unreadable
    dirty: bool | None = None  # whether its files differ from that commit; None: not known
    files: int = 0  # those of trees nested in it count as well
    size: int | None = None  # bytes
    reason: str | None = None  # why there is no tree


class SnapshotInfo(Record, frozen=True, kw_only=True):
    digest: str  # "sha256:<hex>" of the tree
    ref: str  # refs/trees/<hex> in vault/code.git
    files: int
    size: int | None = None  # bytes
    left_out: list[LeftOut] = []
    warnings: list[str] = []  # secret-looking content and the like, by path
    nested: list[NestedTree] = []  # trees of repositories within this one; files and size count theirs as well


class ClosureInfo(Record, frozen=True, kw_only=True):
    """The local code that a function reaches, by digests."""

    function: str  # "pkg.mod:name"
    digest: str  # "sha256:<hex>" of all that follows but the unknown and the environment
    parts: dict[str, str]  # "pkg.mod:name" -> digest of that part by itself
    kinds: dict[str, str] = {}  # of the parts that are no functions: constant, class, bytecode, file ...
    packages: dict[str, str] = {}  # installed distributions that the code names -> version
    unknown: list[str] = []  # sentences: where, and what cannot be followed
    environment: list[str] = []  # names of environment variables that local code reads; no part of the digest


class FileInfo(Record, frozen=True, kw_only=True):
    """A file of ``[capture.files]`` or of a monitor item."""

    hash_algorithm: Literal["md5", "sha1", "sha256", "sha3"] | None
    hash: str | None  # plain hex, as capsula writes it
    kept_as: str | None = None  # file in the run folder, when copied or moved


class Fault(Record, frozen=True, kw_only=True):
    """Something that could not be recorded."""

    where: str
    error: str


# --- documents of a run --------------------------------------------------------------------------------------------


class ContextRecord(Record, frozen=True, kw_only=True):
    """``context.json``: code, configuration and environment of a run.  It names no run, so equal ones share bytes."""

    schema: str = CONTEXT_SCHEMA
    root_directory: str
    cwd: str | None
    platform: Platform
    environment_variables: dict[str, str]
    git: dict[str, GitInfo]
    files: dict[str, FileInfo | None]
    cpu: dict[str, Any] | None
    memory: int | None = None  # bytes of main memory
    gpus: list[Gpu] = []
    packages: list[Package] = []
    commit: str | None = None  # as in artifact names: "1a2b3c4", "1a2b3c4-dirty-9f86d08", "nogit"
    config: Any = None  # redacted; exactly what was hashed stands behind config_hash
    config_hash: str  # 64 hex digits
    snapshot: SnapshotInfo | None = None
    closure: ClosureInfo | None = None  # of the decorated function
    python_path: list[str] = []  # entries of sys.path inside the project, relative to it ("" is the project itself)
    stale: list[
        str
    ] = []  # files that were edited after this process had imported them: what ran is not what lies there
    captures: dict[str, Any] = {}  # records of plug-in captures, by name
    redacted: list[str] = []  # places whose value was a secret
    unknown: dict[str, str] = {}
    reprokit_version: str


class ProcessId(Record, frozen=True, kw_only=True):
    """Names a process for good: numbers are used again, numbers with a start time are not."""

    host: str
    pid: int
    started: float | None  # seconds since boot on Linux, else since the epoch
    boot_id: str | None = None


class ArtifactRecord(Record, frozen=True, kw_only=True):
    """A file or folder that a run generated or used.  PROV: Entity."""

    path: str  # relative to the project root, POSIX separators; absolute when outside
    digest: str | None  # "sha256:<hex>"; None when missing, or when it changed before it could be taken
    size: int | None  # bytes
    role: Role
    requested: str | None = None  # the path before tagging
    keyword: str | None = None  # argument that held it: of an output, or of an input that counts for reuse
    commit: str | None = None
    config_hash: str | None = None
    folder: bool = False
    blob: str | None = None  # kept in the vault under this digest
    replaced: str | None = None  # digest of the version that stood there before
    differs_from: str | None = None  # run that made other content under the same tag ("unknown" when none is named)
    host: str | None = None  # machine on whose disk it lies, when that is not the project's
    seen: bool = False  # nobody named it: it was seen being opened
    embedded: bool = False  # commit and config hash are written inside it


class ReuseInfo(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the result of a run depends on besides its closure and its inputs, and whether it may be used again."""

    key: str | None = None  # digest of function, closure, configs, arguments, environment, outputs' forms and Python
    config: str = ""  # digest of the config hashes of all decorators
    arguments: dict[str, str] = {}  # parameter -> digest of its value; those that name outputs have none
    code: dict[str, str] = {}  # functions and classes that arguments bring along -> digest of their closure
    constants: dict[str, str] = {}  # objects of installed packages in the code's constants -> digest of their content
    outputs: str = ""  # digest of the form of the output paths: types, suffixes, how many
    python: str | None = None  # "cpython-3.11", where it counts
    environment: dict[str, str] = {}  # variables that the code reads -> digest of their value; secrets have none
    cwd: str | None = None  # relative to the project root, when it found files by names that no argument gave
    listed: dict[str, str] = {}  # folders whose entries it listed -> digest of their names
    returned: str | None = None  # digest of the archive in blobs/ that holds the return value; None: it returned None
    mutated: list[str] = []  # arguments and input files that the function changed
    refused: str | None = None  # why its result is not used again


class ExceptionInfo(Record, frozen=True, kw_only=True):
    error_type: str
    error_message: str
    error_details: str  # formatted traceback


class Resources(Record, frozen=True, kw_only=True):
    """What the run took; process-wide where the system counts no finer."""

    wall_time: float  # seconds, monotonic
    cpu_user: float | None = None  # seconds
    cpu_system: float | None = None  # seconds
    peak_memory: int | None = None  # bytes, high-water mark of the process


class PreRunInfo(Record, frozen=True, kw_only=True):
    """``pre-run-info.json``: which run this is and what it was called with."""

    schema: str = PRE_RUN_SCHEMA
    run_id: str
    parent_id: str | None = None
    root_id: str
    kind: Kind
    function: str | None = None  # module-qualified
    command: list[str] | None = None  # command line, redacted
    root_directory: str
    cwd: str | None
    timestamp: str
    source_file: str | None = None
    source_line: int | None = None
    function_name: str | None = None
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    inexact: list[str] = []  # arguments that are not held exactly: "args[0]", "kwargs['x']", "self" of a method
    args_archive: str | None = None  # in the run's folder, when asked for
    process: ProcessId
    argv: list[str] = []  # command line of the process, redacted
    config_hash: str
    commit: str | None = None
    artifacts: list[ArtifactRecord] = []  # expected outputs, as they were before
    random_state: dict[str, Any] = {}
    reproduction_of: str | None = None  # the run that this one repeats
    redacted: list[str] = []
    unknown: dict[str, str] = {}


class PostRunInfo(Record, frozen=True, kw_only=True):
    """``post-run-info.json``: how the run ended.  Its appearance is the commit point."""

    schema: str = POST_RUN_SCHEMA
    run_id: str
    status: Status
    root_directory: str
    timestamp: str
    run_time: str  # ISO 8601 duration
    files: dict[str, FileInfo | None] = {}
    return_value: Any = None
    return_archive: str | None = None  # in the run's folder, when asked for
    exception_info: ExceptionInfo | None = None
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None
    artifacts: list[ArtifactRecord] = []
    values: dict[str, Any] = {}
    series: dict[str, list[list[Any]]] = {}  # name -> [[step, value], ...]
    resources: Resources | None = None
    children: int = 0
    reason: str | None = None  # why a run was interrupted, when known
    captures: dict[str, Any] = {}
    redacted: list[str] = []
    faults: list[Fault] = []
    reuse: ReuseInfo | None = None  # of a run whose result may be used again, or might have been
    reused_from: str | None = None  # the run whose result was given instead of calling the function


class SideCar(Record, frozen=True, kw_only=True):
    """``<artifact>.run.json``: everything that leads from a lone file back to its run."""

    schema: str = SIDECAR_SCHEMA
    run_id: str
    root_id: str
    function: str | None
    command: list[str] | None = None
    commit: str | None
    config_hash: str
    config: Any = None
    artifact: ArtifactRecord
    started_at: str
    status: Status
    sha: str | None = None  # full commit id
    snapshot: str | None = None  # tree digest
    vault: str  # relative to the side-car's folder where possible
    run_folder: str
    reused_from: str | None = None  # the run that made it, under another name
    reprokit_version: str


class StepRecord(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A line of ``steps-*.jsonl``: a child run begins or ends.  What is empty is left out."""

    schema: str
    event: Literal["begin", "end"]
    run_id: str
    parent_id: str | None = None
    root_id: str | None = None
    kind: Kind | None = None
    function: str | None = None
    timestamp: str
    status: Status | None = None
    run_time: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    inexact: list[str] = []
    args_archive: str | None = None
    config: Any = None
    config_hash: str | None = None
    commit: str | None = None
    snapshot: SnapshotInfo | None = None
    closure: ClosureInfo | None = None  # when the root run's folder does not hold it yet
    closure_digest: str | None = None
    process: ProcessId | None = None
    bundle: str | None = None  # digest of the code that a worker ran, as it found it there: "sha256:<hex>"
    environment: str | None = None  # digest of the worker's interpreter and packages, see ``context-<digest>.json``
    artifacts: list[ArtifactRecord] = []
    files: dict[str, FileInfo | None] = {}
    values: dict[str, Any] = {}
    series: dict[str, list[list[Any]]] = {}
    return_value: Any = None
    return_archive: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    exception_info: ExceptionInfo | None = None
    reason: str | None = None
    redacted: list[str] = []
    faults: list[Fault] = []
    reuse: ReuseInfo | None = None
    reused_from: str | None = None


class JournalLine(Record, frozen=True, kw_only=True):
    """A line of ``journal/*.jsonl``: a root run was opened, closed or marked, its folder was removed, or a result was used again.

    When it was used again, `run_id` is that of the run that made it, which may be a child run.
    """

    schema: str = JOURNAL_SCHEMA
    event: Literal["open", "close", "mark", "remove", "reuse"]
    run_id: str
    folder: str
    timestamp: str
    status: Status | None = None
    documents: dict[str, str] = {}  # at the close: name in the run's folder -> "sha256:<hex>"
    saved: float | None = None  # at a reuse: seconds that the run had taken


class MarkRecord(Record, frozen=True, kw_only=True):
    """A line of ``marks-*.jsonl`` in a run's folder: what a person said of the run afterwards."""

    schema: str = MARK_SCHEMA
    event: Literal["tag", "untag", "note", "verdict"]  # verdict: how a reproduction came out
    run_id: str  # of the root run or of one of its child runs
    text: str
    timestamp: str


class ReuseEntry(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A line of ``reuse/ab/cdef...``: a result that can be used again by calls with this key, while its inputs are what they were."""

    schema: str
    key: str
    run_id: str
    folder: str  # of the root run, below runs/
    timestamp: str
    seconds: float  # that the run took
    cwd: str | None = None
    listed: dict[str, str] = {}
    inputs: list[ArtifactRecord] = []
    outputs: list[ArtifactRecord] = []
    returned: str | None = None


class VaultInfo(Record, frozen=True, kw_only=True):
    """``vault.json``."""

    schema: str = VAULT_SCHEMA
    created: str
    reprokit_version: str
