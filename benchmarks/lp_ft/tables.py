"""The tables of the comparison: mean and spread over seeds, and paired differences."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import softmax

from hf_cifar.evaluation.calibration import expected_calibration_error
from hf_cifar.utils.table import Table

PAIRS = (("lp-ft", "plain"), ("lp-ft", "plain, an epoch more"), ("lp-ft", "probe"))


def tables(rows: list[dict[str, Any]], folder: Path) -> str:
    """Return all tables in Markdown, and write what they are made of to results.json."""
    results = [{**row, "sets": _measured(row)} for row in rows]
    kept = [
        {name: value for name, value in row.items() if name not in ("stage", "model", "answers")} for row in results
    ]
    rates = json.loads((folder / "rates.json").read_text())
    (folder / "results.json").write_text(json.dumps({"rates": rates, "rows": kept}, indent=1) + "\n")
    names = list(results[0]["sets"])
    parts = [_rates_table(rates).markdown(padded=True)]
    parts += [_table(results, name).markdown(padded=True) for name in ("seconds", *names)]
    parts += [_differences(results, name).markdown(padded=True) for name in names]
    return "\n\n".join(parts)


def _measured(row: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return accuracy and ECE on each test set, and ECE at the temperature of the validation images."""
    with np.load(row["answers"]) as content:
        answers = dict(content)
    result = {}
    for name in [name for name in answers if not name.endswith(" labels")]:
        logits, labels = answers[name], answers[f"{name} labels"]
        scaled = [softmax(logits / temperature, axis=1) for temperature in (1.0, row["temperature"])]
        result[name] = {
            "images": len(labels),
            "accuracy": float((logits.argmax(1) == labels).mean()),
            "ece": expected_calibration_error(scaled[0], labels),
            "ece_calibrated": expected_calibration_error(scaled[1], labels),
        }
    return result


def _rates_table(rates: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return the mean validation accuracy at each rate tried; the chosen one is bold."""
    rows = []
    for images, arms in rates.items():
        for arm, tried in arms.items():
            best = max(tried, key=lambda rate: tried[rate])
            shown = {rate: f"{rate}: {100 * value:.1f}" for rate, value in tried.items()}
            cells = [f"**{text}**" if rate == best else text for rate, text in shown.items()]
            rows.append([f"{int(images):,}", arm, ", ".join(cells)])
    return Table(["training images", "arm", "learning rate: validation accuracy, %"], rows, 3)


def _groups(results: list[dict[str, Any]]) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """Return the rows of each size and arm, in order of the seeds."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in sorted(results, key=lambda row: row["seed"]):
        groups.setdefault((row["images"], row["arm"]), []).append(row)
    return groups


def _table(results: list[dict[str, Any]], name: str) -> Table:
    """Return mean and sample standard deviation over the seeds of one test set, or of the seconds."""
    columns = [name, "arm"]
    columns += ["seconds of one thread"] if name == "seconds" else ["accuracy, %", "ECE", "ECE, calibrated"]
    rows = []
    for (images, arm), runs in sorted(_groups(results).items(), key=lambda item: item[0][0]):
        if name == "seconds":
            cells = [_spread([run["seconds"] for run in runs], 0)]
        else:
            measured = [run["sets"][name] for run in runs]
            cells = [_spread([100 * one["accuracy"] for one in measured], 2)]
            cells += [_spread([one[figure] for one in measured], 3) for figure in ("ece", "ece_calibrated")]
        rows.append([f"{images:,} training images", arm, *cells])
    return Table(columns, rows, 2)


def _differences(results: list[dict[str, Any]], name: str) -> Table:
    """Return paired differences over the seeds with Student's t interval, and the p value of the paired t-test."""
    groups, rows = _groups(results), []
    for images in sorted({images for images, _ in groups}):
        for first, second in PAIRS:
            left, right = (
                [100 * run["sets"][name]["accuracy"] for run in groups[images, arm]] for arm in (first, second)
            )
            test = stats.ttest_rel(left, right)
            low, high = test.confidence_interval(0.95)
            won = sum(a > b for a, b in zip(left, right, strict=True))
            difference = f"{np.mean(np.subtract(left, right)):+.2f}"
            cells = [difference, f"{low:+.2f} to {high:+.2f}", f"{test.pvalue:.2g}", f"{won} of {len(left)}"]
            rows.append([f"{images:,} training images", f"{first} less {second}", *cells])
    return Table([name, "", "points", "95 % interval", "p", "seeds won"], rows, 2)


def _spread(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"
