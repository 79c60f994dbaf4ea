"""joblib.Memory: a miss each call."""

import joblib

memory = joblib.Memory("joblib", verbose=0)


@memory.cache
def work(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x


def call(number):
    work(number, f"out/{number}.txt")
