"""Sphinx configuration."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from reprokit import __version__

project = "reprokit"
author = "the reprokit authors"
copyright = "2026, the reprokit authors"
release = version = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "reprokit"
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r".*")]  # annotations name private and third-party types; no inventory is fetched
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
doctest_global_setup = """
import os, tempfile
from reprokit import *
from reprokit.archive import *
import reprokit as rk
os.chdir(tempfile.mkdtemp())
"""
