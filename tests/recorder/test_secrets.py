"""No secret reaches a record, a side-car or captured output; harmless names stay."""

from __future__ import annotations

import argparse
import enum
import json
import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import pytest

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


class Planted:
    """Makes secrets, each another one, and looks for all of them."""

    def __init__(self, form):
        self.form, self.made = form, []

    def __call__(self):
        self.made.append(self.form.format(len(self.made)))
        return self.made[-1]

    def assert_none_in(self, root):
        left = {}
        for path, data in everything(root):
            for secret in self.made:
                for piece in (secret, secret.split()[0], secret.encode().hex()):
                    if piece.encode() in data:
                        at = data.index(piece.encode())
                        left[secret] = (path.name, data[max(0, at - 80) : at + 20])
        assert not left


@pytest.fixture(params=["s3cr3t{:03d}Xq", "corr{:03d} horse battery staple"], ids=["word", "phrase"])
def plant(request):
    return Planted(request.param)


@dataclass
class Login:
    user: str
    password: str


class Key(enum.Enum):
    PASSWORD = "password"


class Shown:
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __repr__(self):
        return "Shown(" + ", ".join(f"{name}={value}" for name, value in self.__dict__.items()) + ")"


def test_no_shape_of_an_argument_keeps_a_secret(project, plant):
    pair = namedtuple("Pair", "user passphrase")

    @rk.monitor(include_return_value=True)
    def f(*args, **kwargs):
        return kwargs.get("back")

    f({"a": {"b": [{"password": plant()}]}}, json.dumps(json.dumps({"password": plant()})))
    f(("password", plant()), [("user", "x"), ("token", plant())], {"env": [{"name": "API_KEY", "value": plant()}]})
    f(headers={"Authorization": "Basic " + plant(), "X-Api-Key": plant(), "Cookie": f"sid={plant()}; b=c"})
    f(Login("a", plant()), [Login("a", plant())], pair("a", plant()), argparse.Namespace(user="a", password=plant()))
    f(
        Shown(user="a", password=plant(), n=3),
        {b"password": plant()},
        {Key.PASSWORD: plant()},
        {("db", "password"): plant()},
    )
    f({"password": plant().encode()}, {"passwords": {"a": [plant(), {plant()}]}}, auth=("ada", plant()))
    f(
        f"Server=x;UID=a;PWD={plant()};",
        f"mysql -uroot -p'{plant()}' db",
        ["curl", "-u", f"ada:{plant()}"],
        ["x", "--password", plant()],
    )
    f("password", plant())
    f(pwd=plant(), sas=plant(), dsn=plant(), client_secret=plant(), session_id=plant(), password=Path(plant()))
    secret = plant()
    f(f"pre {secret}", [secret], {"x": secret}, password=secret, back={"q": f"<{secret}>"})
    plant.assert_none_in(project.root)


def test_no_shape_of_an_exception_keeps_a_secret(project, plant):
    def chained(password):
        try:
            raise KeyError(password)
        except KeyError as error:
            made = ValueError(f"cannot log in as ada with {password}")
            made.add_note(f"it was {password}")
            raise made from error

    def shown():
        raise RuntimeError({"password": plant()}, ("api_key", plant()), Login("a", plant()))

    def grouped():
        raise ExceptionGroup("two", [ValueError(f"api key: {plant()}"), OSError(f"the password '{plant()}' is wrong")])

    for function, args in ((chained, (plant(),)), (shown, ()), (grouped, ())):
        with pytest.raises((ValueError, RuntimeError, ExceptionGroup)):
            rk.monitor(function)(*args)
    plant.assert_none_in(project.root)


def test_no_shape_of_output_keeps_a_secret(project, plant):
    import yaml

    @rk.monitor(capture_output=True)
    def f():
        print("password:", plant())
        sys.stdout.write("pass")
        sys.stdout.write("word=")
        sys.stdout.write(plant())
        print()
        print(Login("a", plant()), [("password", plant())], file=sys.stderr)
        print(json.dumps({"a": {"n": 1, "api_keys": [plant(), plant()]}}, indent=2))
        print(yaml.dump({"db": {"password": plant(), "passwords": [plant(), plant()], "secret": f"a\n{plant()}\nb\n"}}))
        print(yaml.dump({"secret": f"a\n{plant()}\nb\n"}, default_style="|"))
        print(f"user,password,n\nada,{plant()},1\nbob,{plant()},2\n")
        print(f"| user | password |\n|---|---|\n| ada | {plant()} |\n")
        print(f"[db]\npassword = {plant()}\nhost = x\n")
        print(f"-----BEGIN RSA PRIVATE KEY-----\n{plant()}\nabc\n-----END RSA PRIVATE KEY-----\nkeep this")

    f()
    plant.assert_none_in(project.root)
    assert "keep this" in project.post()["stdout"]
    assert "host = x" in project.post()["stdout"]


def test_no_shape_of_a_config_keeps_a_secret_in_side_cars_and_records(project, plant):
    config = {
        "creds": {"a": [plant(), plant().encode()]},
        1: {"token": plant()},
        "login": Login("a", plant()),
        "pairs": [("password", plant())],
        "js": json.dumps({"password": plant()}),
        "keys": {Key.PASSWORD: plant(), b"api_key": plant()},
        "sets": {"secrets": {plant()}},
        "n": 3,
    }

    @rk.monitor
    @rk.Artifact("o", config=config, args=True)
    def f(o, password, login):
        rk.current().record("note", {"password": plant(), "n": 5})
        Path(o).write_text("x")

    f("a.txt", plant(), Login("a", plant()))
    assert list(project.root.glob("*.run.json"))
    plant.assert_none_in(project.root)


def test_no_shape_of_a_command_keeps_a_secret(project):
    planted = Planted("Qx77{:03d}a")
    shown = project.root.parent / "shown.txt"  # what a command prints need not stand on its command line
    shown.write_text(f"user,password\na,{planted()}\n\npassword: {planted()}\nsecrets:\n  - {planted()}\n")
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "SVC_TOKEN": planted(), "X": planted()}
    byte_by_byte = "import sys; [(sys.stdout.write(c), sys.stdout.flush()) for c in open(sys.argv[1]).read()]"
    commands = (
        ["sh", "-c", f"echo it is $SVC_TOKEN; cat {shown}; curl -u ada:{planted()} http://127.0.0.1:1/"],
        ["sh", "-c", "true", "-u", f"bob:{planted()}", "--db-pass", planted(), f'{{"password": "{planted()}"}}'],
        [sys.executable, "-c", "import os; raise ValueError('password=%r' % os.environ['X'])"],
        [sys.executable, "-c", byte_by_byte, str(shown)],
    )
    for argv in commands:
        subprocess.run(
            [sys.executable, "-m", "reprokit", "monitor", "--", *argv], cwd=project.root, env=env, capture_output=True
        )
    assert len(project.folders) == 4
    planted.assert_none_in(project.vault)


def test_a_secret_that_an_argument_names_is_taken_out_of_the_command_line_too(project):
    project.python(
        "import sys, reprokit as rk\n@rk.monitor\ndef login(user, password): return 1\nlogin('ada', sys.argv[1])\n",
        "correct-horse-battery",
    )
    for path in project.vault.rglob("*.json*"):
        assert b"correct-horse" not in path.read_bytes(), path
