"""Ask a vault's index, and sqlite3 alone, what the rows about the catalogue ask; times in seconds as JSON."""

import hashlib
import json
import sqlite3
import sys
import time
from pathlib import Path
from statistics import median

from reprokit.catalog import whence
from reprokit.catalog.index import Index
from reprokit.catalog.vault import Vault

vault, what = Path(sys.argv[1]), sys.argv[2]


def timed(call, rounds=15):
    took = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return median(took[1:])


def once(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


found: dict[str, float] = {}
if what == "build":
    found["build"] = once(lambda: Index.open(vault).close())
elif what == "catch up":
    found["catch up"] = once(lambda: Index.open(vault).close())
else:
    face = Vault(vault)

    def listed(**options):
        return [run.run_id for run in face.runs(limit=50, **options)]

    filters = {
        "config and value, by value": {"where": "config.lr < 0.1 and value.rmse < 3", "sort": "value.rmse"},
        "config and value, newest": {"where": "config.lr < 0.5 and value.rmse < 5"},
        "config and value, few": {"where": "config.lr < 0.05 and value.rmse < 1", "sort": "-value.accuracy"},
        "config and value, by duration": {"where": "config.lr < 0.5 and value.rmse < 5", "sort": "duration"},
        "metric": {"where": "value.rmse < 3"},
        "parameter and tag": {"where": "config.model.depth = 3 and config.model.name = 'a'"},
        "latest": {},
    }
    for name, options in filters.items():
        assert listed(**options), name
        found[name] = timed(lambda options=options: listed(**options))
    db = sqlite3.connect(vault / "index.sqlite")
    newest = "SELECT * FROM runs WHERE parent_id IS NULL ORDER BY started DESC LIMIT 50"
    found["sqlite latest"] = timed(lambda: db.execute(newest).fetchall())
    (path, digest) = db.execute("SELECT path, digest FROM artifacts WHERE rowid = 777").fetchone()
    found["artifacts"] = db.execute("SELECT count(*) FROM artifacts").fetchone()[0]
    picture = vault.parent / "slide.bin"  # of unknown content, but named: the slowest way is gone to its end
    picture.write_bytes(b"slide")
    assert hashlib.sha256(b"slide").digest() != digest
    named = vault.parent / Path(path).name

    def by_name():
        with Index.open(vault) as index:
            assert whence.whence(index, named).run is not None

    def unknown():
        with Index.open(vault) as index:
            assert whence.whence(index, picture).run is None

    found["whence by name"], found["whence of an unknown file"] = timed(by_name), timed(unknown)
    # By content: a file that has a recorded digest is made by recording its digest.
    known = hashlib.sha256(b"slide").digest()
    with Index.open(vault) as index:
        index.db.execute("UPDATE artifacts SET digest = ? WHERE rowid = 777", (known,))

    def by_content():
        with Index.open(vault) as index:
            assert whence.whence(index, picture).how == "content"

    found["whence by content"] = timed(by_content)
print(json.dumps(found))
