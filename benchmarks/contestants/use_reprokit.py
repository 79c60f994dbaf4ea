"""reprokit: a root run a call."""

from use_plain import CONFIG

import reprokit as rk


@rk.monitor
@rk.Artifact("outpath", config=CONFIG)
def work(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x


def call(number):
    work(number, f"out/{number}.txt")


if __name__ == "__main__":
    call(1)
