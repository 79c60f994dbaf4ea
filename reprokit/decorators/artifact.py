"""``@Artifact``: output paths become ``name-<commit>-<hash>.ext``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from reprokit.decorators.wrapper import attach
from reprokit.recorder.plan import ArtifactSpec, Plan, reuse_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")


class Artifact:
    """Tag the paths that a function writes (or reads) with the commit and the hash of a configuration.

    Parameters
    ----------
    keyword
        Name of the parameter that holds the path, or several names.  Its value may be a ``str``, a ``Path``, or a list,
        tuple or dict of them; a folder works too.
    config
        What the result depends on: a mapping, a dataclass, attrs, pydantic or msgspec model, a ``Namespace``, OmegaConf,
        the path of a YAML, TOML or JSON file, or a callable that gets a dict of the call's arguments by name.
    allow_dirty
        Whether a repository with uncommitted changes is accepted; its state becomes part of the name then.
    args
        True puts all arguments but the paths into the hash, a list of names just those.
    template
        Form of the tagged name, ``"{stem}-{commit}-{hash}{ext}"`` by default.
    exists
        What to do when a file of that name is there: ``"replace"`` lets the function write it (and reports when the
        content then differs), ``"keep"`` moves the earlier version into the vault first, ``"error"`` refuses.
        ``"reuse"`` does not call the function when a run made the same: with the same code, as far as the function reaches
        it, config, arguments (but for the output paths, of which only types and suffixes count), content of the files
        that it read, and versions of the packages that it names.  The file, and what the function returned, come back.
    copy
        Whether the artifact is also kept in the vault, by its content.
    sidecar
        Whether ``<artifact>.run.json`` is written beside it.
    embed
        Whether commit and config hash are also written inside the file, before its digest is taken: PNG, JPEG, SVG, PDF,
        npz, HDF5 and NetCDF-4, Parquet; other files and folders are left alone.  HDF5 and PDF need ``reprokit[embed]``.
    ignore
        Arguments on which the result does not depend (for reuse).
    key
        For arguments that can't be told from others, or in another way than by all that they hold: functions that give what
        stands for them, ``{"self": lambda model: model.version}``.
    assume_pure
        Whether code that can't be followed is taken not to matter, nor what globals hold that the source doesn't tell, nor
        that the function changes them.  Else a function with such code is always called, unless ``depends`` names what it may
        reach.
    depends, strict
        As in `monitor`.
    refresh
        ``"call"`` asks git again at each call; by default the process asks once.

    Raises
    ------
    DirtyRepositoryError
        At the call, when the repository is dirty and that is not allowed.
    MissingKeywordError
        At the call, when it lacks the argument.
    ConfigError, NamingError, ArtifactExistsError
        At the call, before the function starts.

    Examples
    --------
    >>> @Artifact("outpath", config={"window": 12})
    ... def save(data, outpath): ...
    """

    def __init__(
        self,
        keyword: str | Iterable[str],
        config: Any = None,
        allow_dirty: bool | None = None,
        *,
        args: bool | Iterable[str] = False,
        template: str | None = None,
        exists: Literal["replace", "keep", "error", "reuse"] | None = None,
        copy: bool = False,
        sidecar: bool | None = None,
        embed: bool = False,
        ignore: str | Iterable[str] = (),
        key: Mapping[str, Callable[[Any], object]] | None = None,
        assume_pure: bool = False,
        depends: Iterable[object] = (),
        refresh: Literal["process", "call"] | None = None,
        strict: bool | None = None,
    ) -> None:
        names = (keyword,) if isinstance(keyword, str) else tuple(keyword)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise TypeError(f"Artifact(keyword=...) takes the name of a parameter, or several, not {keyword!r}")
        if exists not in (None, "replace", "keep", "error", "reuse"):
            raise ValueError(f"Artifact(exists={exists!r}): choose 'replace', 'keep', 'error' or 'reuse'")
        if template is not None:
            from reprokit.model import naming

            naming.check_template(template)
        self.plan = Plan(
            artifacts=(
                ArtifactSpec(
                    names=names,
                    config=config,
                    allow_dirty=allow_dirty,
                    args=args if isinstance(args, bool) else (args,) if isinstance(args, str) else tuple(args),
                    template=template,
                    exists=exists,
                    copy=copy,
                    sidecar=sidecar,
                    embed=embed,
                ),
            ),
            refresh=refresh,
            strict=strict,
            depends=tuple(depends),
            reuse=reuse_spec(asked=exists == "reuse", ignore=ignore, key=key, assume_pure=assume_pure),
        )

    def __call__(self, function: F) -> F:
        """Put it on a function."""
        wrapper: F = attach(function, self.plan, "Artifact")
        return wrapper
