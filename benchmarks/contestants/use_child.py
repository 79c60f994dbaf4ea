"""reprokit: a child run with one artifact a call, inside one open root run."""

import atexit

from use_reprokit import work

import reprokit as rk

_block = rk.run("children")
_block.__enter__()
atexit.register(_block.__exit__, None, None, None)


def call(number):
    work(number, f"out/{number}.txt")
