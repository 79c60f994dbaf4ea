"""``reprokit init``."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = """\
# Settings of reprokit; everything here is optional, and the values shown are the defaults.

dirty = "source"            # what makes a repository dirty: "tracked", "source" or "all"
allow-dirty = false         # accept a dirty repository without saying so at each decorator
strict = false              # true: refuse to run what cannot be recorded
exists = "replace"          # a file of that name is there: "replace", "keep", "error" or "reuse"
max-file-size = "50 MB"     # larger files stay out of code snapshots

[capture]
vault-directory = "vault"
run-template = "%Y%m%d_%H%M%S"
include-cpu = true
pre-capture-commands = []
environment-variables = []  # besides those that are known to change results

[capture.files]
# "poetry.lock" = { hash = "sha256", copy = true }

# [monitor.item.fit.files]
# "model.pkl" = { hash = "sha256" }
"""


@click.command()
def command() -> None:
    """Make reprokit.toml and the vault in this project."""
    from reprokit import settings as _settings
    from reprokit._version import __version__
    from reprokit.vault.layout import Vault

    found = _settings.current()
    target = Path(found.root) / "reprokit.toml"
    if found.source is not None:
        click.echo(f"settings  {found.source} (left as they are)")
    else:
        target.write_text(TEMPLATE, encoding="utf-8")
        click.echo(f"settings  {target}")
    vault = Vault(found.vault)
    vault.ensure(__version__)
    click.echo(f"vault     {vault.path}")
    if not any((folder / ".git").exists() for folder in (found.root, *found.root.parents)):
        click.echo("note      this is no git repository yet; `git init` makes the code traceable")
