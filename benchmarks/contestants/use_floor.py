"""The least that whole records cost: a folder with three JSON files, each temporary file + fsync + rename."""

import json
import os

from use_plain import CONFIG, work


def save(path, document):
    temporary = path + ".tmp"
    with open(temporary, "w") as stream:
        json.dump(document, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def call(number):
    folder = f"floor/{number}"
    os.makedirs(folder)
    outpath = f"out/{number}.txt"
    save(f"{folder}/context.json", {"config": CONFIG, "environment": {f"NAME_{i}": "value" * 5 for i in range(30)}})
    save(f"{folder}/pre-run-info.json", {"x": number, "outpath": outpath, "argv": ["worker.py"]})
    work(number, outpath)
    save(f"{folder}/post-run-info.json", {"status": "complete", "artifacts": [outpath]})
