"""MLflow's ``search_runs`` over sqlite on as many runs as are asked for; times in seconds as JSON."""

import json
import logging
import random
import sqlite3
import sys
import time
from pathlib import Path
from statistics import median

import mlflow
from mlflow.tracking import MlflowClient

logging.disable(logging.WARNING)
count = int(sys.argv[1])
place = Path("mlflow.db")
mlflow.set_tracking_uri(f"sqlite:///{place}")
client = MlflowClient()
experiment = client.create_experiment("bench")
client.create_run(experiment)

# Through its own API each run takes 50 ms: the rows are put into its tables as its own run has them.
db = sqlite3.connect(place)
columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
(template,) = db.execute("SELECT * FROM runs").fetchall()
template = dict(zip(columns, template, strict=True))
chance = random.Random(1)
runs, params, metrics, latest, tags = [], [], [], [], []
for number in range(count):
    run = f"{chance.getrandbits(128):032x}"
    runs.append(
        tuple(
            {
                **template,
                "run_uuid": run,
                "name": f"r{number}",
                "start_time": number * 1000,
                "status": "FINISHED",
            }.values()
        )
    )
    config = {"lr": chance.random(), "depth": chance.randrange(10), "name": chance.choice("abc"), "seed": number}
    params += [(key, str(value), run) for key, value in config.items()]
    for key, value in (("rmse", chance.random() * 10), ("accuracy", chance.random()), ("epochs", number % 50)):
        latest.append((key, value, number * 1000, 0, 0, run))
    tags += [("name", config["name"], run), ("commit", f"{number // 100:07x}", run)]
db.executemany(f"INSERT INTO runs VALUES({','.join('?' * len(columns))})", runs)
db.executemany("INSERT INTO params(key, value, run_uuid) VALUES(?,?,?)", params)
db.executemany("INSERT INTO latest_metrics(key, value, timestamp, step, is_nan, run_uuid) VALUES(?,?,?,?,?,?)", latest)
db.executemany("INSERT INTO tags(key, value, run_uuid) VALUES(?,?,?)", tags)
db.commit()
db.close()


def timed(rounds=15, **options):
    took = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        found = client.search_runs([experiment], max_results=50, **options)
        took.append(time.perf_counter() - started)
        assert found
    return median(took[1:])


print(
    json.dumps(
        {
            "latest": timed(order_by=["attributes.start_time DESC"]),
            "metric": timed(filter_string="metrics.rmse < 3", order_by=["attributes.start_time DESC"]),
            "parameter and tag": timed(
                filter_string="params.depth = '3' and tags.name = 'a'", order_by=["attributes.start_time DESC"]
            ),
            "config and value, by value": timed(
                filter_string="metrics.accuracy < 0.1 and metrics.rmse < 3", order_by=["metrics.rmse ASC"]
            ),
        }
    )
)
