"""The function itself, as every contestant runs it."""

CONFIG = {"window": 12, "method": "loess", "seeds": [1, 2, 3], "model": {"depth": 3, "rate": 0.01}}


def work(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x


def call(number):
    work(number, f"out/{number}.txt")


if __name__ == "__main__":
    call(1)
