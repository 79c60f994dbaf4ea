"""MLflow with its sqlite store."""

import logging

import mlflow
from use_plain import CONFIG

logging.disable(logging.WARNING)
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("bench")


def call(number):
    outpath = f"out/{number}.txt"
    with mlflow.start_run():
        mlflow.log_params({"x": number, "outpath": outpath, **CONFIG})
        with open(outpath, "w") as stream:
            stream.write(str(number))
        mlflow.log_artifact(outpath)
