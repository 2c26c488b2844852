"""The runs of the comparison: what trains on what, with which rate."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lp_ft.test_sets import TestSet, answers, prepare
from hf_cifar.experiment import Experiment

LADDER = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
FIRST_RATES = (0.01, 0.03, 0.1)
# Whether an arm starts from the probe, and its epochs more than the others'. A probe is a forward pass over the
# training images, about a third of an epoch: an epoch more is at least the same compute.
ARMS = {"lp-ft": (True, 0), "plain": (False, 0), "plain, an epoch more": (False, 1)}


@dataclass
class Study:
    """The runs of one command.

    Attributes:
        folder: of all runs.
        options: of every run, as of `Experiment`.
        sizes: training images and epochs of fine-tuning.
        seeds: of the final runs.
        rate_seeds: how many of them choose the rate.
        other: name and dataset of each other source.
    """

    folder: Path
    options: dict[str, Any]
    sizes: list[tuple[int, int]]
    seeds: list[int]
    rate_seeds: int
    other: dict[str, str]

    def probe(self, images: int, seed: int) -> dict[str, Any]:
        """Run the probe of one seed, unless it is done, and return what was measured."""
        return self._once("probe", "probe", images, seed, {})

    def finetune(self, arm: str, images: int, epochs: int, rate: float, seed: int) -> dict[str, Any]:
        """Run one fine-tuning, unless it is done, and return what was measured."""
        from_probe, more = ARMS[arm]
        options: dict[str, Any] = {"learning_rate": rate, "num_train_epochs": epochs + more}
        if from_probe:
            options["from_"] = self.probe(images, seed)["stage"]
        name = f"{arm.replace(', ', '-').replace(' ', '-')}-{rate:g}"
        return self._once(name, "finetune", images, seed, options)

    def rates(self, arm: str, images: int, epochs: int) -> dict[float, float]:
        """Return the mean validation accuracy of each rate tried, the best with a worse one on both sides."""
        tried: dict[float, float] = {}
        waiting = list(FIRST_RATES)
        while waiting:
            for rate in waiting:
                runs = [self.finetune(arm, images, epochs, rate, seed) for seed in self.seeds[: self.rate_seeds]]
                tried[rate] = float(np.mean([run["validation_accuracy"] for run in runs]))
            best = LADDER.index(max(tried, key=lambda rate: tried[rate]))
            waiting = [rate for rate in LADDER[max(0, best - 1) : best + 2] if rate not in tried]
        return dict(sorted(tried.items()))

    def _once(self, name: str, stage: str, images: int, seed: int, options: dict[str, Any]) -> dict[str, Any]:
        """Run a stage unless its record is there, keep of it the model and the metrics, and return the record."""
        output = self.folder / f"{images}-images" / name / f"seed-{seed}"
        record = output / "measured.json"
        if not record.is_file():
            common = {**self.options, "max_train_samples": images, "seed": seed, "output_dir": output}
            began = time.process_time()
            step = getattr(Experiment(**common), stage)(overwrite=True, **options)
            seconds = time.process_time() - began
            shutil.rmtree(output / stage / "checkpoints", ignore_errors=True)
            measured = {
                "stage": str(output / stage),
                "model": str(step.model_dir),
                "validation_accuracy": step.metrics["validation"]["accuracy"],
                "temperature": step.metrics["test"]["temperature"],
                "seconds": seconds,
            }
            record.write_text(json.dumps(measured, indent=1))
        result: dict[str, Any] = json.loads(record.read_text())
        return result


def measure(study: Study) -> list[dict[str, Any]]:
    """Run everything, and return a row for each size, arm and seed; the answers of its model are in a file."""
    rows: list[dict[str, Any]] = []
    sets: dict[str, TestSet] = {}
    for images, epochs in study.sizes:
        arms = {"probe": {seed: study.probe(images, seed) for seed in study.seeds}}
        sets = sets or prepare(study.options["dataset"], study.other, arms["probe"][study.seeds[0]]["model"])
        rate = 0.0
        for arm, (_, more) in ARMS.items():
            if not more:
                tried = study.rates(arm, images, epochs)
                rate = max(tried, key=lambda rate: tried[rate])
                _write_rates(study.folder, images, arm, tried)
            arms[arm] = {seed: study.finetune(arm, images, epochs, rate, seed) for seed in study.seeds}
        for arm, runs in arms.items():
            for seed, run in runs.items():
                row = {"images": images, "epochs": epochs, "arm": arm, "seed": seed, **run}
                rows.append({**row, "answers": str(_answered(run, sets))})
    return rows


def _answered(run: dict[str, Any], sets: dict[str, TestSet]) -> Path:
    """Return the file with the answers of a model to the test sets, after asking it unless that is done."""
    file = Path(run["model"]).parent / "answers.npz"
    if not file.is_file():
        arrays: dict[str, Any] = {name: answers(run["model"], one) for name, one in sets.items()}
        arrays |= {f"{name} labels": one.labels for name, one in sets.items()}
        np.savez(file, **arrays)
    return file


def _write_rates(folder: Path, images: int, arm: str, tried: dict[float, float]) -> None:
    """Add the rates of one arm to rates.json."""
    file = folder / "rates.json"
    content = json.loads(file.read_text()) if file.is_file() else {}
    content.setdefault(str(images), {})[arm] = {f"{rate:g}": value for rate, value in tried.items()}
    file.write_text(json.dumps(content, indent=1))
