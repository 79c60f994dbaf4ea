"""sacred with a FileStorageObserver; output isn't captured, as nobody else does here."""

import sacred
from sacred.observers import FileStorageObserver
from use_plain import CONFIG

sacred.SETTINGS.CAPTURE_MODE = "no"
experiment = sacred.Experiment("bench", interactive=False)
experiment.observers.append(FileStorageObserver("sacred_runs"))
experiment.add_config(x=0, outpath="", **CONFIG)


@experiment.main
def work(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    experiment.add_artifact(outpath)
    return x


def call(number):
    experiment.run(config_updates={"x": number, "outpath": f"out/{number}.txt"}, options={"--loglevel": "ERROR"})
