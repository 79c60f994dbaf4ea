"""capsula: git, arguments, platform, the file's digest, timing and exception, all three reports.

Without ``CpuContext``, which takes a second a call.
"""

import capsula


@capsula.run(ignore_config=True)
@capsula.context(capsula.FunctionContext.builder(), mode="pre")
@capsula.context(capsula.GitRepositoryContext.builder("fixture"), mode="pre")
@capsula.context(capsula.CwdContext(), mode="pre")
@capsula.context(capsula.PlatformContext(), mode="pre")
@capsula.context(capsula.FileContext.builder("out/1.txt", hash_algorithm="sha256"), mode="post")
@capsula.watcher(capsula.UncaughtExceptionWatcher("Exception"))
@capsula.watcher(capsula.TimeWatcher("function"))
@capsula.reporter(capsula.JsonDumpReporter.builder(), mode="all")
def work(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x


def call(number):
    work(number, "out/1.txt")  # the file that it hashes is settled before the call


if __name__ == "__main__":
    call(1)
