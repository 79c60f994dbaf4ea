"""Times calls of one contestant: ``worker.py NAME``; reads how many, answers with the seconds each took."""

import importlib
import json
import sys
import time


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # what contestants print doesn't mix with the answers
    call = importlib.import_module(sys.argv[1]).call
    number = 0
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        taken = []
        for _ in range(int(line)):
            number += 1
            started = time.perf_counter()
            call(number)
            taken.append(time.perf_counter() - started)
        print(json.dumps(taken), file=answers, flush=True)


if __name__ == "__main__":
    main()
