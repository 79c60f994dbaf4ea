"""reprokit with all three decorators: the source tree is kept too."""

from use_plain import CONFIG

import reprokit as rk


@rk.monitor
@rk.snapshot_code
@rk.Artifact("outpath", config=CONFIG)
def work(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x


def call(number):
    work(number, f"out/{number}.txt")


if __name__ == "__main__":
    call(1)
