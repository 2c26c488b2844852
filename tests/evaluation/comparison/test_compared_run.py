"""The runs of a comparison: found, named, and refused where they were not tested on the same images."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.compared_runs import change, change_predictions, make_compared_runs

from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison.compared_run import find_runs

REFUSED = "a/finetune and b/probe were not tested on the same images: "


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Runs a (probe and fine-tuning) and b (a probe). Read them, do not change them."""
    return make_compared_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copies(finished, tmp_path) -> Path:
    """Runs that may be changed."""
    for name in ("a", "b"):
        shutil.copytree(finished / name, tmp_path / name)
    return tmp_path


def test_a_run_that_is_not_done(copies):
    (copies / "a" / "finetune" / "metrics.json").unlink()
    with pytest.raises(InputError, match=r"finetune is not finished: finish it with --resume, or give .*/a/probe$"):
        find_runs([str(copies / "a"), str(copies / "b")])
    with pytest.raises(InputError, match=r"finetune is not finished"):
        find_runs([str(copies / "a/finetune"), str(copies / "b")])
    assert [item.name for item in find_runs([str(copies / "a/probe"), str(copies / "b")])] == ["a/probe", "b/probe"]


def test_names_are_as_long_as_they_must_be(finished, copies):
    found = find_runs([str(finished / "a"), str(copies / "a"), str(copies / "b")])
    ends = [f"{folder.name}/{rest}" for folder, rest in ((finished, "a/finetune"), (copies, "a/finetune"))]
    assert [item.name for item in found] == [*ends, f"{copies.name}/b/probe"]


def test_files_that_cannot_be_read(copies):
    runs = [str(copies / "a"), str(copies / "b")]
    (copies / "b/probe/metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"b/probe cannot be read"):
        find_runs(runs)
    shutil.copy(copies / "a/probe/metrics.json", copies / "b/probe/metrics.json")
    (copies / "b/probe/predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"b/probe cannot be read"):
        find_runs(runs)
    (copies / "b/probe/predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"b/probe cannot be read"):
        find_runs(runs)


def test_the_same_rows_of_another_dataset_are_refused(copies):
    change(copies / "b/splits.json", lambda splits: splits["test"].update(fingerprint="other"))
    with pytest.raises(InputError, match=REFUSED + r"colours.* \(.+\) and colours.* \(other\) have the same name"):
        find_runs([str(copies / "a"), str(copies / "b")])
    change(copies / "b/probe/metrics.json", lambda metrics: metrics["dataset"].update(id="flowers"))
    with pytest.raises(InputError, match=REFUSED + r"the datasets are colours.* and flowers \(other\)"):
        find_runs([str(copies / "a"), str(copies / "b")])


def test_without_the_indices_of_the_splits_the_training_split_tells(copies):
    (copies / "b/splits.json").unlink()
    runs = [str(copies / "a"), str(copies / "b")]
    assert len(find_runs(runs)) == 2
    change(copies / "b/probe/metrics.json", lambda metrics: metrics["dataset"].update(fingerprint="other"))
    with pytest.raises(InputError, match=REFUSED):
        find_runs(runs)


def test_other_rows_are_refused(copies):
    change_predictions(copies / "b/probe", index=lambda index: index + 5)
    with pytest.raises(InputError, match=REFUSED + r"18 and 18 images, 13 of them in both"):
        find_runs([str(copies / "a"), str(copies / "b")])


def test_other_labels_are_refused(copies):
    change_predictions(copies / "b/probe", label=lambda label: np.where(np.arange(18) == 4, (label + 1) % 3, label))
    with pytest.raises(InputError, match=REFUSED + r"1 of 18 images have different labels, such as image 4: \w+ in"):
        find_runs([str(copies / "a"), str(copies / "b")])


def renamed(names: list[str]):
    def edit(metrics: dict) -> None:
        old = metrics["test"]["per_class"]
        metrics["test"]["per_class"] = dict(zip(names, old.values(), strict=True))

    return edit


def test_classes_in_another_order_are_matched_by_name(copies):
    before = find_runs([str(copies / "a"), str(copies / "b")])
    change(copies / "b/probe/metrics.json", renamed(["Red", "blue", "green"]))
    with pytest.raises(InputError, match=REFUSED + "18 of 18 images have different labels"):
        find_runs([str(copies / "a"), str(copies / "b")])
    # blue, green, red by their new numbers; and the images in another order.
    numbers = np.array([1, 2, 0])
    turned = {name: lambda column: numbers[column][::-1] for name in ("label", "prediction")}
    change_predictions(copies / "b/probe", index=lambda index: index[::-1], **turned)
    after = find_runs([str(copies / "a"), str(copies / "b")])
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.correct, new.correct) and np.array_equal(old.index, new.index)
