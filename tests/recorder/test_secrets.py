"""No secret reaches a record, a side-car or captured output; harmless names stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import reprokit as rk
from tests.conftest import SOURCE, git

KEY = "ghp_" + "a1B2" * 9
PASSWORD = "correct-horse-battery"
TOKEN = "tok-0123456789abcdef"


def everything(root):
    """All bytes that were recorded, but for the exact source trees and diffs."""
    found = []
    for path in root.rglob("*"):
        inside_store = "code.git" in path.parts or ".git" in path.parts
        if path.is_file() and not inside_store and path.suffix not in (".py", ".diff"):
            found.append((path, path.read_bytes()))
    return found


def assert_clean(root, *secrets):
    for path, data in everything(root):
        for secret in secrets:
            assert secret.encode() not in data, f"{secret} in {path}"


def test_arguments_config_output_values_and_exception(project, capsys):
    config = {"model": {"api_key": TOKEN, "num_tokens": 4096}, "auth": {"password": PASSWORD}, "note": f"use {KEY}"}

    @rk.monitor(capture_output=True, include_return_value=True)
    @rk.Artifact("o", config=config)
    def f(o, password, num_tokens, url):
        Path(o).write_text("x")
        print(f"token={TOKEN}")
        print("key", KEY, file=sys.stderr)
        rk.current().record("secret", PASSWORD)
        rk.current().record("url", url)
        g(api_token=TOKEN)
        return {"password": PASSWORD}

    @rk.monitor
    def g(api_token):
        return None

    f("a.txt", password=PASSWORD, num_tokens=4096, url=f"https://u:{PASSWORD}@host/x")
    assert_clean(project.root, KEY, PASSWORD, TOKEN)
    assert capsys.readouterr().out == f"token={TOKEN}\n"  # what the user sees is theirs
    pre = project.pre()
    assert pre["kwargs"]["num_tokens"] == 4096
    assert pre["kwargs"]["password"] == "<redacted>"
    assert "kwargs['password']" in pre["redacted"]
    assert project.context()["config"]["model"] == {"api_key": "<redacted>", "num_tokens": 4096}

    @rk.monitor
    def h():
        raise ValueError(f"cannot log in with password={PASSWORD} and {KEY}")

    try:
        h()
    except ValueError:
        pass
    # The traceback quotes this file's source, which names the variables and not their values.
    assert_clean(project.vault, KEY, PASSWORD, TOKEN)


def test_argv_environment_and_remote_url(project):
    git(project.root, "remote", "add", "origin", f"https://ada:{PASSWORD}@example.org/x.git")
    (project.root / "reprokit.toml").write_text('[capture]\nenvironment-variables = ["SERVICE_TOKEN", "DATABASE"]\n')
    env = {
        "SERVICE_TOKEN": TOKEN,
        "DATABASE": f"postgres://ada:{PASSWORD}@db/x",
        "OTHER_SECRET": "value-of-another-one",
    }
    project.python(
        "import sys, reprokit as rk\nrk.monitor(lambda *a: None)(*sys.argv)\n",
        "--password",
        PASSWORD,
        f"--key={KEY}",
        "value-of-another-one",
        env=env,
    )
    assert_clean(project.vault, KEY, PASSWORD, TOKEN, "value-of-another-one")
    (info,) = project.context()["git"].values()
    assert info["remotes"] == [{"name": "origin", "url": "https://example.org/x.git"}]


def test_monitored_command_line_and_output(project):
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-m", "reprokit", "monitor", "--", "sh", "-c", f"echo API_KEY={TOKEN}; echo {KEY} >&2", "--token", TOKEN],
        cwd=project.root, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert KEY in done.stderr
    assert_clean(project.vault, KEY, TOKEN)


def test_redact_setting_adds_names(project):
    (project.root / "reprokit.toml").write_text('redact = ["plate"]\n')
    rk.monitor(lambda plate: None)(plate="B-XY 1234")
    assert_clean(project.vault, "B-XY 1234")


def test_secret_files_stay_out_of_tree_and_diff(project):
    (project.root / ".env").write_text(f"TOKEN={TOKEN}\n")
    (project.root / "id_rsa").write_text("key")
    (project.root / "keys.py").write_text(f'KEY = "{KEY}"\n')
    with rk.run("r", snapshot_code=True):
        pass
    snapshot = project.context()["snapshot"]
    assert {one["path"]: one["reason"] for one in snapshot["left_out"]} == {
        ".env": "secret by name",
        "id_rsa": "secret by name",
    }
    assert any(line.startswith("keys.py") for line in snapshot["warnings"])
    (diff,) = project.folders[-1].glob("*.diff")
    assert TOKEN not in diff.read_text()
    listed = git(
        project.root, "--git-dir", str(project.vault / "code.git"), "ls-tree", "-r", "--name-only", snapshot["ref"]
    )
    assert listed.split() == ["keys.py", "pipeline.py"]
    assert json.dumps(snapshot).count(TOKEN) == 0


def test_a_password_passed_positionally_is_taken_out_by_its_parameters_name(project):
    @rk.monitor
    def login(user, password):
        return inner(password)

    @rk.monitor
    def inner(api_key):
        return None

    login("ada", PASSWORD)
    assert_clean(project.vault, PASSWORD)
    assert project.pre()["args"] == ["ada", "<redacted>"]
