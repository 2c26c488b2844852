"""What a stage leaves behind: whole files, resumable, and a model that opens anywhere."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from support.images import write_images
from support.warm_python import WarmPython

from hf_cifar.errors import InputError
from hf_cifar.stages.train import run_training
from hf_cifar.training.probe import probe as probe_module

ELSEWHERE = """
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_cifar":
            raise ImportError("hf_cifar is not installed here")
sys.meta_path.insert(0, Refuse())
import torch
from transformers import pipeline
"""
PIPELINE = """
import json, os, sys
os.chdir("/")
assert not [name for name in sys.modules if name.startswith("hf_cifar")]
classify = pipeline("image-classification", model={model!r})
print(json.dumps(classify({paths!r}, top_k=3)))
"""


@pytest.fixture(scope="module")
def elsewhere():
    """Processes that cannot import this package."""
    python = WarmPython(ELSEWHERE)
    yield python
    python.close()


def answers(elsewhere, model_dir, paths) -> list[dict[str, float]]:
    """What `pipeline` says in a process that cannot import this package, away from its folder."""
    code = "from transformers import pipeline" + PIPELINE.format(model=str(model_dir), paths=list(map(str, paths)))
    done = elsewhere.run(code)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().split("\n")[-1])
    return [{item["label"]: item["score"] for item in one} for one in found]


@pytest.mark.parametrize("model", ["native", "torchvision"])
def test_pipeline_elsewhere_gives_names_and_the_scores_of_the_predictions(
    model, configure, image_folder, elsewhere, no_pictures
):
    how = {"model": "resnet18", "weights": "none", "image_size": 32} if model == "torchvision" else {}
    result = run_training(configure(**how))
    table = pq.read_table(result.output_dir / "probe" / "predictions.parquet").to_pydict()
    paths = sorted((image_folder / "test").rglob("*.png"))
    names = ["blue", "green", "red"]
    for row, scores in enumerate(answers(elsewhere, result.model_dir, paths)):
        assert sorted(scores) == names
        expected = table["probabilities"][row]
        np.testing.assert_allclose([scores[name] for name in names], expected, atol=1e-4)
        assert max(scores, key=scores.get) == names[table["prediction"][row]]


def test_files_and_their_content(configure):
    result = run_training(configure(max_eval_samples=9))
    folder = result.output_dir
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if "checkpoint" not in str(path)}
    # The pictures, whose number depends on what there is to show, have tests of their own.
    # filelock before 4 removes its file.
    files = {name for name in files if "/figures/" not in name and not name.endswith(".png") and name != ".lock"}
    assert files == {
        "image_hashes.npz",
        "run.yaml",
        "splits.json",
        "probe",
        "probe/model",
        "probe/model/config.json",
        "probe/model/model.safetensors",
        "probe/model/preprocessor_config.json",
        "probe/model/prediction_sets.json",
        "probe/model/ood_energy.json",
        "probe/checksums.json",
        "probe/metrics.json",
        "probe/predictions.parquet",
        "probe/history.csv",
        "probe/mistakes.csv",
        "probe/label_errors.csv",
        "probe/figures",
        "probe/examples",
        "probe/examples/examples.json",
        "probe/report.html",
    }
    metrics = json.loads((folder / "probe" / "metrics.json").read_text())
    assert metrics == result.metrics.to_dict()
    assert {"stage", "model", "seed", "dataset", "test", "validation", "train", "versions"} <= set(metrics)
    assert {"id", "revision", "fingerprint", "num_train", "num_validation", "num_test"} <= set(metrics["dataset"])
    assert (metrics["dataset"]["num_train"], metrics["dataset"]["num_validation"]) == (54, 6)
    assert metrics["test"]["num_examples"] == metrics["dataset"]["num_test"] == 9
    for part in ("test", "validation"):
        assert {"accuracy", "accuracy_ci95", "f1_macro", "top5_accuracy", "nll", "ece"} <= set(metrics[part])
        assert set(metrics[part]["per_class"]) == {"blue", "green", "red"}
    assert {"epochs", "seconds", "images_per_second", "peak_memory_mb"} <= set(metrics["train"])
    assert metrics["train"]["trainable_parameters"] == 16 * 3 + 3
    written = yaml.safe_load((folder / "run.yaml").read_text())
    assert written["data"]["max_eval_samples"] == 9 and "versions" in written["provenance"]
    splits = json.loads((folder / "splits.json").read_text())
    assert not set(splits["train"]["rows"]) & set(splits["validation"]["rows"])
    assert splits["validation"]["split"] == "train" and len(splits["validation"]["rows"]) == 6
    rows = pq.read_table(folder / "probe" / "predictions.parquet").to_pydict()["index"]
    assert rows == splits["test"]["rows"]


def test_a_folder_in_use_is_refused_replaced_or_resumed(configure, no_pictures):
    first = run_training(configure())
    with pytest.raises(InputError, match=r"in use: --resume .* --overwrite"):
        run_training(configure())
    assert run_training(configure(resume=True)).metrics == first.metrics, "done already"
    with pytest.raises(InputError, match=r"has seed 0, not 1"):
        run_training(configure(resume=True, seed=1))
    (first.output_dir / "notes.txt").write_text("mine")
    assert run_training(configure(overwrite=True, seed=1)).metrics.seed == 1
    assert (first.output_dir / "notes.txt").read_text() == "mine"


def test_a_run_that_failed_at_once_leaves_the_folder_free(configure, tmp_path, no_pictures):
    with pytest.raises(InputError):
        run_training(configure(dataset=str(tmp_path / "nothing")))
    run_training(configure())


def test_resume_after_an_interruption_ends_in_the_same_head(configure, tmp_path, monkeypatch, no_pictures):
    from safetensors.torch import load_file

    whole = run_training(configure(num_train_epochs=6))
    train = probe_module.GridTrainer.training_step

    def interrupted(self, *args, **kwargs):
        if self.state.global_step == 14:
            raise KeyboardInterrupt
        return train(self, *args, **kwargs)

    broken = {"num_train_epochs": 6, "output_dir": str(tmp_path / "broken")}
    monkeypatch.setattr(probe_module.GridTrainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(configure(**broken))
    monkeypatch.undo()
    # A checkpoint that was being written when the power went is not taken for a whole one.
    (tmp_path / "broken" / "probe" / "checkpoints" / "checkpoint-999").mkdir()
    with pytest.raises(InputError, match="in use"):
        run_training(configure(**broken))
    resumed = run_training(configure(**broken, resume=True))
    assert resumed.metrics.test == whole.metrics.test
    ours, theirs = (load_file(result.model_dir / "model.safetensors") for result in (resumed, whole))
    assert all((ours[name] == theirs[name]).all() for name in ours)
    histories = [(result.output_dir / "probe" / "history.csv").read_text() for result in (resumed, whole)]
    assert histories[0] == histories[1]


def test_corrupt_images_are_named_or_left_out_and_counted(configure, tmp_path, no_pictures, capfd):
    folder = write_images(tmp_path / "data" / "train", 20).parent
    write_images(folder / "test", 5)
    (folder / "train" / "red" / "7.png").write_bytes(b"\x89PNG not really")
    (folder / "test" / "blue" / "1.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"red/7.png\) cannot be read .*--skip-corrupt"):
        run_training(configure(dataset=str(folder)))
    metrics = run_training(configure(dataset=str(folder), skip_corrupt=True)).metrics.dataset
    err = capfd.readouterr().err
    assert "1 unreadable image of train left out: train/red/7.png" in err
    assert "1 unreadable image of test left out: test/blue/1.png" in err
    assert metrics.num_corrupt == {"train": 1, "validation": 0, "test": 1}
    assert metrics.num_train + metrics.num_validation == 59 and metrics.num_test == 14
