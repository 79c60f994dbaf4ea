"""The command line: what a person or a program sees, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import SOURCE

RUN = """
import sys, reprokit as rk
@rk.Artifact("o", allow_dirty=True, config={"a": 1})
def save(o): open(o, "w").write("x")
with rk.run("outer", config={"b": 2}) as ctx:
    save("foo.txt")
    ctx.record("rmse", 0.5)
"""


def listed(project):
    done = project.reprokit("runs", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_runs_json_is_an_array_of_root_runs_newest_first(project):
    project.python(RUN)
    project.python(RUN)
    found = listed(project)
    assert len(found) == 2
    assert found[0]["started_at"] > found[1]["started_at"]
    keys = {
        "run_id",
        "parent_id",
        "root_id",
        "function",
        "command",
        "status",
        "started_at",
        "run_time",
        "commit",
        "config_hash",
    }
    for run in found:
        assert keys <= set(run)
        assert run["status"] == "complete"
        assert run["parent_id"] is None
        assert run["root_id"] == run["run_id"]
        assert run["children"] == 1
        assert run["values"] == {"rmse": 0.5}
    assert len(json.loads(project.reprokit("runs", "--json", "--limit", "1").stdout)) == 1


def test_an_empty_project_says_what_to_do(project):
    assert listed(project) == []
    assert "no runs" in project.reprokit("runs").stdout
    done = project.reprokit("show")
    assert done.returncode == 1
    assert done.stderr.startswith("reprokit: no run '@'")


def test_show_finds_by_prefix_child_folder_and_newest(project):
    project.python(RUN)
    run = listed(project)[0]
    child = next(s for s in project.steps() if s["event"] == "begin")["run_id"]
    made = next(project.root.glob("foo-*.txt")).name
    for wanted in ("@", run["run_id"], run["run_id"][:6], run["folder"]):
        done = project.reprokit("show", wanted)
        assert done.returncode == 0, done.stderr
        assert run["run_id"] in done.stdout
        assert "rmse = 0.5" in done.stdout
        assert "__main__.save" in done.stdout
    for wanted in (child[:12], made):
        done = project.reprokit("show", wanted)
        assert done.returncode == 0, done.stderr
        assert child in done.stdout
        assert f"run {run['run_id']}" in done.stdout
        assert made in done.stdout
        assert '{"a": 1}' in done.stdout
    document = json.loads(project.reprokit("show", "--json").stdout)
    assert document["post_run_info"]["run_id"] == run["run_id"]
    assert document["children"][0]["status"] == "complete"


@pytest.mark.parametrize("wanted", ["zzz", "../x", "", "0" * 40, "x\x1b[31m"])
def test_a_run_that_is_not_there_is_one_line(project, wanted):
    project.python(RUN)
    done = project.reprokit("show", wanted)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_show_says_what_became_of_the_files(project):
    project.python(RUN)
    (made,) = project.root.glob("foo-*.txt")
    assert "changed since" not in project.reprokit("show", made.name).stdout
    made.write_text("y")
    assert "changed since" in project.reprokit("show", made.name).stdout
    made.unlink()
    assert "no longer there" in project.reprokit("show", made.name).stdout


def test_an_ambiguous_prefix_is_told(project):
    for _ in range(20):
        (project.root / "x").touch()
    project.python("import reprokit as rk\nfor _ in range(40): rk.monitor(lambda: None)()\n")
    firsts = [run["run_id"][0] for run in listed(project)]
    twice = next(digit for digit in firsts if firsts.count(digit) > 1)
    done = project.reprokit("show", twice)
    assert done.returncode == 1
    assert "type more digits" in done.stderr


def test_a_damaged_record_is_named_and_hides_no_other(project):
    project.python(RUN)
    project.python(RUN)
    victim = project.folders[0]
    for damage in (b"", b"{", b"\0" * 100, b"[" * 100_000, b'{"schema": "reprokit/pre-run-info/99"}', b"\xff"):
        (victim / "pre-run-info.json").write_bytes(damage)
        done = project.reprokit("runs", "--json")
        assert done.returncode == 0
        assert len(json.loads(done.stdout)) == 1
        assert str(victim) in done.stderr
        assert "Traceback" not in done.stderr
    assert project.reprokit("show", victim.name).returncode == 1


def test_every_cut_of_a_record_is_survived(project):
    project.python(RUN)
    from reprokit.catalog import scan

    folder = project.folders[0]
    for name in ("post-run-info.json", "pre-run-info.json", "context.json"):
        whole = (folder / name).read_bytes()
        for cut in range(0, len(whole) - 2, 97):
            (folder / name).write_bytes(whole[:cut])
            damaged = []
            for run in scan.runs(project.vault, damaged):
                assert run.context is None or name != "context.json"
                assert run.status in ("interrupted", "complete")
            assert len(damaged) == (name == "pre-run-info.json")
        (folder / name).write_bytes(whole)


def test_init_makes_settings_and_vault_and_leaves_what_is_there(project):
    done = project.reprokit("init")
    assert done.returncode == 0
    text = (project.root / "reprokit.toml").read_text()
    assert (project.vault / "vault.json").exists()
    (project.root / "reprokit.toml").write_text(text + "\n# mine\n")
    assert project.reprokit("init").returncode == 0
    assert (project.root / "reprokit.toml").read_text().endswith("# mine\n")


def test_capture(project):
    done = project.reprokit("capture", "--snapshot")
    assert done.returncode == 0, done.stderr
    assert project.context()["snapshot"]["files"] >= 1
    assert listed(project)[0]["kind"] == "capture"


def test_wrong_settings_are_one_line(project):
    (project.root / "reprokit.toml").write_text("strickt = true\n")
    done = project.reprokit("runs")
    assert done.returncode == 1
    assert "did you mean 'strict'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_command_names_the_nearest(project):
    done = project.reprokit("rnus")
    assert done.returncode == 2
    assert "Did you mean 'runs'" in done.stderr


def test_a_closed_pipe_is_no_traceback(project):
    project.python(RUN)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        f"{sys.executable} -m reprokit show --json | head -1",
        shell=True,
        cwd=project.root,
        env=env,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr


# --- monitor ---------------------------------------------------------------------------------------------------------


def test_monitor_passes_output_bytes_and_exit_code_through(project):
    code = r"import sys; sys.stdout.buffer.write(b'\xff\x00out\n'); sys.stderr.write('err\n'); sys.exit(3)"
    done = project.reprokit("monitor", "--", sys.executable, "-c", code, text=False)
    assert done.returncode == 3
    assert done.stdout == b"\xff\x00out\n"
    assert done.stderr == b"err\n"
    assert (project.folders[-1] / "stdout.txt").read_bytes() == b"\xff\x00out\n"
    post = project.post()
    assert post["exit_code"] == 3
    assert post["status"] == "failed"
    assert post["stderr"] == "err\n"
    assert project.pre()["args"][0] == sys.executable
    assert project.pre()["command"][0] == sys.executable
    assert project.context()["snapshot"] is not None


def test_monitor_output_is_live(project):
    code = "import time; print('first', flush=True); time.sleep(30)"
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(
        [sys.executable, "-m", "reprokit", "monitor", "--", sys.executable, "-c", code],
        cwd=project.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"first\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert project.post()["status"] == "interrupted"


def test_monitored_functions_are_children_of_the_command(project):
    (project.root / "inner.py").write_text(RUN)
    done = project.reprokit("monitor", "--", sys.executable, "inner.py")
    assert done.returncode == 0, done.stderr
    assert len(project.folders) == 1
    root = project.pre()["run_id"]
    begins = [s for s in project.steps() if s["event"] == "begin"]
    assert [b["function"] for b in begins] == ["outer", "__main__.save"]
    assert [b["parent_id"] for b in begins] == [root, begins[0]["run_id"]]
    assert {b["root_id"] for b in begins} == {root}
    assert begins[0]["process"]["pid"] != project.pre()["process"]["pid"]
    (context,) = project.folders[0].glob("context-*.json")
    assert json.loads(context.read_text())["packages"]


def test_monitor_tags_artifacts_among_the_arguments(project):
    done = project.reprokit(
        "monitor", "--artifact", "out.txt", "--artifact", "b.txt", "--", "sh", "-c", 'echo 1 > "$1"; echo 2 > "${2#--o=}"', "sh", "out.txt", "--o=b.txt",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tag = f"-{project.commit}-44136fa355.txt"
    assert (project.root / f"out{tag}").read_text() == "1\n"
    assert (project.root / f"b{tag}").read_text() == "2\n"
    assert [a["role"] for a in project.post()["artifacts"]] == ["generated"] * 2
    assert (project.root / f"out{tag}.run.json").exists()
    assert project.pre()["args"][-2:] == [f"out{tag}", f"--o=b{tag}"]


def test_monitor_artifact_that_is_no_argument_is_refused(project):
    done = project.reprokit("monitor", "--artifact", "nope.txt", "--", "true")
    assert done.returncode == 1
    assert "nope.txt" in done.stderr
    assert not project.folders


@pytest.mark.parametrize(("command", "code"), [("no-such-command-anywhere", 127), ("./pipeline.py", 126)])
def test_a_command_that_cannot_start(project, command, code):
    done = project.reprokit("monitor", "--", command)
    assert done.returncode == code
    assert done.stderr.startswith(f"reprokit: {command}:")
    assert project.post()["status"] == "failed"


def test_a_command_killed_by_a_signal(project):
    done = project.reprokit("monitor", "--", "sh", "-c", "kill -9 $$")
    assert done.returncode == 137
    assert project.post()["reason"] == "killed by SIGKILL"


def test_monitor_reads_its_standard_input(project):
    assert project.reprokit("monitor", "--", "cat", input="hello").stdout == "hello"


def test_a_background_process_is_not_waited_for(project):
    start = time.monotonic()
    done = project.reprokit("monitor", "--", "sh", "-c", "sleep 30 & echo done")
    assert done.stdout == "done\n"
    assert time.monotonic() - start < 25  # far below the thirty seconds, however slow the machine
    assert "background" in project.post()["faults"][0]["error"]


def test_items_of_a_command(project):
    (project.root / "reprokit.toml").write_text(
        '[monitor.item.pi.files]\n"made.txt" = { hash = "sha1", move = true }\n'
    )
    done = project.reprokit("monitor", "--item", "pi", "--", "touch", "made.txt")
    assert done.returncode == 0, done.stderr
    assert project.post()["files"]["made.txt"]["hash"] == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert (project.folders[-1] / "made.txt").exists()
    assert project.reprokit("monitor", "--item", "po", "--", "true").returncode == 1


def test_the_command_finds_its_run_folder(project):
    done = project.reprokit("monitor", "--", "sh", "-c", 'echo "$REPROKIT_RUN_DIR"; echo "$CAPSULE_DIR"')
    assert done.stdout.splitlines() == [str(project.folders[-1])] * 2


@pytest.mark.skipif(shutil.which("git") is None, reason="git")
def test_monitor_works_without_git_and_without_settings(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-m", "reprokit", "monitor", "--", "echo", "hi"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "hi\n"


def test_show_takes_the_path_of_a_runs_folder(project):
    project.python(RUN)
    (folder,) = project.folders
    run_id = listed(project)[0]["run_id"]
    for wanted in (str(folder), f"{folder}/", f"vault/runs/{folder.name}"):
        done = project.reprokit("show", wanted)
        assert done.returncode == 0, done.stderr
        assert run_id in done.stdout
    assert project.reprokit("show", "vault/runs/nothing").returncode == 1


def test_show_says_that_the_record_of_an_end_is_damaged(project):
    project.python(RUN)
    (folder,) = project.folders
    (folder / "post-run-info.json").write_bytes(b"{")
    done = project.reprokit("show")
    assert done.returncode == 1
    assert "damaged" in done.stdout
    assert "interrupted" not in done.stdout.partition("child")[0]
    assert "outer" in done.stdout
    assert "post-run-info.json" in done.stderr
    done = project.reprokit("show", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problems"]


def test_show_leaves_the_hash_of_no_config_out(project):
    project.python("import reprokit as rk\nwith rk.run('plain'): pass\n")
    assert "config hash" not in project.reprokit("show").stdout
    project.python(RUN)
    assert "config hash" in project.reprokit("show").stdout
