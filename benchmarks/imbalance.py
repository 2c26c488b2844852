"""Compare what is done about classes of unequal size, on long-tailed copies of a dataset.

    python -m benchmarks.imbalance runs/imbalance lt-0 lt-1 lt-2 -- --stage lpft --model resnet18

The folders are those of `benchmarks.long_tail`, drawn with other seeds; copy number i is split and trained with seed i.
What follows `--` goes to every run. The table has the balanced accuracy on test, mean and sample standard deviation
over the copies.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from hf_cifar.utils.table import Table

METHODS: dict[str, list[str]] = {
    "none": [],
    "class weights, balanced": ["--class-weights", "balanced"],
    "class weights, effective": ["--class-weights", "effective"],
    "logit adjustment, tau 1": ["--logit-adjustment", "1"],
    "balanced sampling": ["--balanced-sampling"],
}
SCRIPT = Path(__file__).parents[1] / "scripts" / "run.py"


def run(folder: Path, dataset: str, seed: int, method: str, options: list[str]) -> dict[str, dict[str, Any]]:
    """Run one method on one copy, unless it is done, and return accuracy and recalls of each stage on test."""
    output = folder / f"{'-'.join(method.replace(',', '').split())}-{seed}"
    command = [sys.executable, str(SCRIPT), "--dataset", dataset, "--seed", str(seed), "--output-dir", str(output)]
    stages = [stage for stage in ("probe", "finetune") if (output / stage / "metrics.json").is_file()]
    if not stages or not (output / "done").is_file():
        subprocess.run([*command, "--resume", *METHODS[method], *options], check=True, stdout=subprocess.DEVNULL)
        (output / "done").touch()
    result = {}
    for stage in ("probe", "finetune"):
        file = output / stage / "metrics.json"
        if file.is_file():
            test = json.loads(file.read_text())["test"]
            recalls = [row["recall"] for row in test["per_class"].values()]
            result[stage] = {"balanced": test["balanced_accuracy"], "first": recalls[:3], "last": recalls[-3:]}
    return result


def shown(values: list[float]) -> str:
    """Return mean and sample standard deviation in percent."""
    return f"{100 * statistics.fmean(values):.1f} ± {100 * statistics.stdev(values):.1f}"


def main(arguments: list[str]) -> None:
    """Run every method on every copy, and print the table."""
    split = arguments.index("--")
    folder, datasets, options = Path(arguments[0]), arguments[1:split], arguments[split + 1 :]
    rows: dict[str, list[list[str]]] = {}
    for method in METHODS:
        runs = [run(folder, dataset, seed, method, options) for seed, dataset in enumerate(datasets)]
        for stage in runs[0]:
            measured = [one[stage] for one in runs]
            ends = [[statistics.fmean(one[end]) for one in measured] for end in ("first", "last")]
            cells = [shown([one["balanced"] for one in measured]), *map(shown, ends)]
            rows.setdefault(stage, []).append([method, *cells])
    for stage, table in rows.items():
        columns = [stage, "balanced accuracy, %", "three largest classes, %", "three smallest classes, %"]
        print(f"\n{Table(columns, table, 1).markdown(padded=True)}")


if __name__ == "__main__":
    main(sys.argv[1:])
