"""Seconds until the first result of a new version of a package on a cluster: reprokit, or what the engine offers."""

import os
import sys
import time
import zipfile
from pathlib import Path

ENGINE, WAY, PROJECT = sys.argv[1:]


def project():
    """Import the project, now that the workers are there: they do not have its folder on their path."""
    os.chdir(PROJECT)
    sys.path.insert(0, PROJECT)
    import pack.start

    return pack.start.main


def dask():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.submit(int).result()
        main = project()
        started = time.perf_counter()
        if WAY == "reprokit":
            from reprokit import ship

            with ship.executor(client) as ex:
                assert ex.submit(main, 1).result() == 1
                return time.perf_counter() - started
        with zipfile.ZipFile("pack.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path("pack").rglob("*.py")):
                archive.write(path)
        client.upload_file("pack.zip")
        assert client.submit(main, 1).result() == 1
        return time.perf_counter() - started


def ray():
    import ray

    own = {"py_modules": [os.path.join(PROJECT, "pack")]} if WAY == "peer" else None
    started = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000, runtime_env=own)
    main = project()
    if WAY == "reprokit":
        from reprokit import ship

        with ship.executor("ray") as ex:
            assert ex.submit(main, 1).result() == 1
    else:
        assert ray.get(ray.remote(main).remote(1)) == 1
    took = time.perf_counter() - started
    ray.shutdown()
    return took


if __name__ == "__main__":
    print({"dask": dask, "ray": ray}[ENGINE]())
