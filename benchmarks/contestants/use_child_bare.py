"""reprokit: a child run without artifact a call, inside one open root run."""

import atexit

import reprokit as rk

_block = rk.run("children")
_block.__enter__()
atexit.register(_block.__exit__, None, None, None)


@rk.monitor
def add(a, b):
    return a + b


def call(number):
    add(number, 1)
