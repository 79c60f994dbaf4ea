"""Four decades of CO2 at Mauna Loa: clean, fit trend and season, plot, report, with every file traceable.

Run it twice: the second time the files come out the same.  Change DEGREE and run it again: new names, old files stay.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import reprokit as rk

HERE = Path(__file__).parent
DATA = HERE / "data" / "mauna_loa_co2_weekly.csv"
RESULTS = HERE / "results"

CONFIG = {"degree": 2, "harmonics": 2, "start": 1959}


@rk.Artifact("outpath", config=CONFIG, allow_dirty=True)
def clean(path, outpath):
    """Average the weeks of each month; months without a measurement are left out."""
    months = {}
    with open(path, newline="") as stream:
        for row in csv.DictReader(stream):
            if row["co2_ppm"] and int(row["week_ending"][:4]) >= CONFIG["start"]:
                months.setdefault(row["week_ending"][:7], []).append(float(row["co2_ppm"]))
    with open(outpath, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["month", "co2_ppm"])
        writer.writerows([month, f"{np.mean(values):.4f}"] for month, values in sorted(months.items()))
    return outpath


def design(years):
    """Columns of the model: powers of time, then sines and cosines of the season."""
    time = (years - 1980) / 10  # decades, so that the powers stay small
    powers = [time**p for p in range(CONFIG["degree"] + 1)]
    seasons = [f(2 * np.pi * k * years) for k in range(1, CONFIG["harmonics"] + 1) for f in (np.sin, np.cos)]
    return np.column_stack(powers + seasons)


@rk.monitor
@rk.snapshot_code
@rk.Artifact("outpath", config=CONFIG, allow_dirty=True)
def fit(path, outpath):
    """Fit trend and season by least squares."""
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    years = np.array([int(r["month"][:4]) + (int(r["month"][5:]) - 0.5) / 12 for r in rows])
    co2 = np.array([float(r["co2_ppm"]) for r in rows])
    columns = design(years)
    coefficients, *_ = np.linalg.lstsq(columns, co2, rcond=None)
    rmse = float(np.sqrt(np.mean((columns @ coefficients - co2) ** 2)))
    rk.current().record("rmse", rmse)
    rk.current().record("slope_1980", coefficients[1] / 10)
    model = {"years": years.tolist(), "co2": co2.tolist(), "coefficients": coefficients.tolist(), "rmse": rmse}
    Path(outpath).write_text(json.dumps(model))
    return model


@rk.Artifact("outpath", config=CONFIG, allow_dirty=True)
def plot(model, outpath):
    """Draw measurements, fit and trend."""
    years, co2 = np.array(model["years"]), np.array(model["co2"])
    coefficients = np.array(model["coefficients"])
    columns = design(years)
    trend = columns[:, : CONFIG["degree"] + 1] @ coefficients[: CONFIG["degree"] + 1]
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    axes.plot(years, co2, ".", markersize=2.5, color="0.55", label="monthly mean")
    axes.plot(years, columns @ coefficients, linewidth=0.8, color="tab:blue", label="trend and season")
    axes.plot(years, trend, linewidth=1.6, color="tab:red", label="trend")
    axes.set(xlabel="year", ylabel="CO$_2$ (ppm)", title=f"Mauna Loa, residual {model['rmse']:.2f} ppm")
    axes.legend(frameon=False)
    figure.savefig(outpath, dpi=120, metadata={"Software": None})  # else the file changes with matplotlib's version
    plt.close(figure)
    return outpath


def main():
    RESULTS.mkdir(exist_ok=True)
    with rk.run("mauna-loa", config=CONFIG, allow_dirty=True) as ctx:
        ctx.use(DATA)
        months = clean(DATA, RESULTS / "monthly.csv")
        model = fit(months, RESULTS / "fit.json")
        picture = plot(model, RESULTS / "co2.png")
        report = ctx.artifact(RESULTS / "report.txt")
        report.write_text(
            f"CO2 at Mauna Loa rose by {model['coefficients'][1] / 10:.2f} ppm a year in 1980;\n"
            f"trend and season leave {model['rmse']:.2f} ppm unexplained.\n"
        )
        ctx.record("rmse", model["rmse"])
    print(report.read_text())
    for path in (months, picture, report):
        print(f"made      {Path(path).relative_to(HERE.parent)}")
    print(f"recorded  {ctx.folder}")
    print(f"look      reprokit show {ctx.run_id[:8]}")


if __name__ == "__main__":
    main()
