"""A thousand trivial tasks on an engine, by itself and with reprokit, in turn; seconds as JSON."""

import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import pack.start

from reprokit import ship

ENGINE, NUMBER, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turn(bare, ours):
    took = {"bare": [], "ours": []}
    for number in range(ROUNDS + 1):
        for name, call in (("bare", bare), ("ours", ours)):
            seconds = timed(call)
            if number:
                took[name].append(seconds)
    print(json.dumps({name: median(values) for name, values in took.items()}))


def pool():
    with ProcessPoolExecutor(2) as plain, ship.executor(ProcessPoolExecutor(2)) as ex:
        in_turn(
            lambda: list(plain.map(pack.start.trivial, range(NUMBER))),
            lambda: list(ex.map(pack.start.trivial, range(NUMBER))),
        )


def dask():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(lambda: None)
        with ship.executor(client) as ex:
            in_turn(
                lambda: client.gather(client.map(pack.start.trivial, range(NUMBER), pure=False)),
                lambda: list(ex.map(pack.start.trivial, range(NUMBER))),
            )


def ray():
    import os

    import ray

    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000,
        runtime_env={"env_vars": {"PYTHONPATH": os.getcwd()}},
    )  # fmt: skip
    remote = ray.remote(pack.start.trivial)
    with ship.executor("ray") as ex:
        in_turn(
            lambda: ray.get([remote.remote(x) for x in range(NUMBER)]),
            lambda: list(ex.map(pack.start.trivial, range(NUMBER))),
        )
    ray.shutdown()


if __name__ == "__main__":
    {"pool": pool, "dask": dask, "ray": ray}[ENGINE]()
