"""Finished runs to compare: made-up predictions on 18 images of three colours, with tiny models that load."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_cifar.evaluation.compute_metrics import save_predictions
from hf_cifar.run.stage_folder import StageFolder
from support.made_up_stage import made_up, metrics_of, split_metrics_of
from support.models import processor, tiny_resnet

NAMES = ["blue", "green", "red"]
FINGERPRINT = "f00d"  # of the test split


def make_compared_runs(folder: Path) -> Path:
    """Two runs: a (probe and fine-tuning) and b (a probe)."""
    for name, stage, strength, seed in (("a", "probe", 1.5, 0), ("a", "finetune", 2.5, 0), ("b", "probe", 1.0, 1)):
        make_compared_stage(folder / name, stage, strength, seed)
        splits = {"test": {"split": "test", "fingerprint": FINGERPRINT, "rows": list(range(18))}}
        (folder / name / "splits.json").write_text(json.dumps(splits))
    return folder


def make_compared_stage(run: Path, stage: str, strength: float, seed: int) -> StageFolder:
    """A training stage with predictions, metrics and a model."""
    folder = StageFolder(run / stage)
    folder.path.mkdir(parents=True)
    labels = np.arange(18) % 3
    noise = made_up(18, 3, 0.0, seed=10 * seed + (stage == "finetune"))[0]
    logits = noise + strength * np.eye(3)[labels]
    model = tiny_resnet(3, seed)
    model.config.id2label = dict(enumerate(NAMES))
    model.config.label2id = {name: index for index, name in enumerate(NAMES)}
    model.save_pretrained(folder.model)
    processor(16).save_pretrained(folder.model)
    metrics = metrics_of(stage, split_metrics_of(logits, labels, NAMES, 1.5))
    data = replace(metrics.dataset, id="colours", kind="folder", fingerprint="cafe")
    train = replace(metrics.train, total_parameters=model.num_parameters())
    replace(metrics, dataset=data, train=train, seed=seed).write(folder.metrics)
    save_predictions(folder.predictions, logits, labels, np.arange(18))
    return folder


def make_evaluation(run: Path, of: StageFolder, fingerprint: str = FINGERPRINT, split: str = "test") -> StageFolder:
    """An evaluation of a trained stage on the same predictions."""
    folder = StageFolder(run / "evaluate")
    folder.path.mkdir(parents=True)
    trained = of.read_metrics()
    evaluated = metrics_of("evaluate", trained.test)
    data = replace(evaluated.dataset, id="colours", kind="folder", fingerprint=fingerprint)
    replace(evaluated, dataset=data, split=split, model=str(of.model), model_dir=str(of.model)).write(folder.metrics)
    folder.predictions.write_bytes(of.predictions.read_bytes())
    return folder


def change(file: Path, edit) -> None:
    """Let `edit` change the content of a JSON file."""
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def change_predictions(stage: Path, **columns) -> None:
    file = stage / "predictions.parquet"
    table = pq.read_table(file).to_pydict()
    pq.write_table(pa.table({**table, **{name: edit(np.array(table[name])) for name, edit in columns.items()}}), file)
