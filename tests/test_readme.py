"""The README's code runs and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.rst").read_text()


def blocks(language):
    """Give the code blocks of one language, without their indentation."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)
    return ["\n".join(line[4:] for line in block.rstrip().splitlines()) + "\n" for block in found]


def test_the_first_example_prints_the_name_that_the_readme_shows(project):
    (project.root / "script.py").write_text(blocks("python")[0])
    project.commit_all()
    printed = project.python(blocks("python")[0]).stdout.strip()
    shown = blocks("text")[0].strip()
    assert re.fullmatch(r"mean-[0-9a-f]{7}-[0-9a-f]{10}\.txt", shown)
    assert printed == re.sub(r"(?<=mean-)[0-9a-f]{7}", project.commit, shown)
    listed = project.reprokit("runs").stdout.splitlines()
    assert listed[0].split() == blocks("text")[1].splitlines()[1].split()
    assert "__main__.smooth" in listed[1]


def test_there_are_exactly_two_setup_commands():
    assert len(blocks("shell")) == 2
    assert all(block.startswith("python3.11 -m venv .venv && .venv/bin/pip install") for block in blocks("shell"))
