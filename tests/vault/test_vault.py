"""The vault's own promises: whole writes, private folders, one writer a file, content kept once."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime

import pytest

from reprokit.errors import RecordError, VaultVersionError
from reprokit.model.records import JournalLine, PreRunInfo, VaultInfo
from reprokit.vault import atomic, blobs, documents
from reprokit.vault.journal import Appender
from reprokit.vault.layout import Vault

LINE = JournalLine(event="open", run_id="1", folder="f", timestamp="t")


def test_two_runs_never_share_a_folder(tmp_path):
    vault = Vault(tmp_path / "v")
    vault.ensure("0")
    now = datetime(2026, 11, 20, 10, 15, 30)
    folder = vault.new_run_folder("%Y%m%d_%H%M%S", "plot", "7f3a9c1e" * 4, now)
    assert folder.name == "20261120_101530-plot-7f3a9c1e"
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        vault.new_run_folder("%Y%m%d_%H%M%S", "plot", "7f3a9c1e" * 4, now)


@pytest.mark.parametrize("template", ["../%Y", "/etc/%Y", "a/b", "%Y\\..", "..", ""])
def test_a_template_cannot_leave_the_vault(tmp_path, template):
    vault = Vault(tmp_path / "v")
    vault.ensure("0")
    assert vault.new_run_folder(template, "x", "0" * 32, datetime.now()).parent == vault.runs


def test_a_vault_is_made_once_and_keeps_its_date(tmp_path):
    Vault(tmp_path / "v").ensure("1")
    first = (tmp_path / "v" / "vault.json").read_bytes()
    Vault(tmp_path / "v").ensure("2")
    assert (tmp_path / "v" / "vault.json").read_bytes() == first


def test_a_newer_vault_is_refused(tmp_path):
    (tmp_path / "vault.json").write_text('{"schema": "reprokit/vault/2"}')
    with pytest.raises(VaultVersionError, match="upgrade reprokit"):
        Vault(tmp_path).ensure("0")


def test_appenders_write_a_file_of_their_own_also_after_a_fork(tmp_path):
    appender = Appender(tmp_path, "steps-", "host")
    appender.append(LINE)
    pid = os.fork()
    if pid == 0:
        appender.append(LINE)
        os._exit(0)
    os.waitpid(pid, 0)
    appender.append(LINE)
    appender.close(sync=True)
    counts = sorted(len(path.read_text().splitlines()) for path in tmp_path.iterdir())
    assert counts == [1, 2]
    assert {path.name.split("-")[2] for path in tmp_path.iterdir()} == {str(os.getpid()), str(pid)}


def test_an_appender_survives_that_its_folder_is_removed_and_made_again(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir()
    appender = Appender(folder, "", "host")
    appender.append(LINE)
    shutil.rmtree(folder)
    folder.mkdir()
    appender.append(LINE)
    (path,) = folder.iterdir()
    assert json.loads(path.read_text())["event"] == "open"


def test_blobs_are_kept_once_moved_or_copied(tmp_path):
    store = tmp_path / "blobs"
    digest = "sha256:" + "ab" * 32
    for name in ("one", "two"):
        (tmp_path / name).write_text("same")
    kept = blobs.keep(store, tmp_path / "one", digest)
    assert kept == store / "ab" / ("ab" * 31)
    assert (tmp_path / "one").exists()
    assert blobs.keep(store, tmp_path / "two", digest, move=True) == kept
    assert not (tmp_path / "two").exists()
    assert [p.name for p in kept.parent.iterdir()] == [kept.name]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    moved = blobs.keep(store, folder, "sha256:" + "cd" * 32, move=True)
    assert (moved / "a").read_text() == "a"
    assert not folder.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"schema": 5}',
        b"\xff\xfe",
        b"\0" * 50,
        b"[" * 10_000,
        b'{"schema": "reprokit/vault/1", "created": 1}',
    ],
)
def test_damaged_documents_are_named(tmp_path, data):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"x\.json"):
        documents.read(path, VaultInfo)


def test_a_document_of_another_version_says_so(tmp_path):
    data = documents.encode(VaultInfo(created="c", reprokit_version="v")).replace(b"vault/1", b"vault/7")
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(RecordError, match="upgrade reprokit"):
        documents.read(tmp_path / "x.json", VaultInfo)


def test_a_huge_document_is_not_read(tmp_path):
    with open(tmp_path / "x.json", "wb") as stream:
        stream.truncate(documents.LARGEST + 1)
    with pytest.raises(RecordError, match="too many"):
        documents.read(tmp_path / "x.json", PreRunInfo)


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = str(tmp_path / ("n" * 255))
    atomic.write(path, b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["n" * 255]
