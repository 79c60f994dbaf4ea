"""Bytes by which the process grows over so many child calls: ``memory.py CALLS``."""

import gc
import sys

import psutil

import reprokit as rk


@rk.monitor
def add(a, b):
    return a + b


def main(calls):
    process = psutil.Process()
    with rk.run("many"):
        for number in range(100):  # what is loaded once is there by then
            add(number, 1)
        gc.collect()
        before = process.memory_info().rss
        for number in range(calls):
            add(number, 1)
        gc.collect()
        print(process.memory_info().rss - before)


if __name__ == "__main__":
    main(int(sys.argv[1]))
