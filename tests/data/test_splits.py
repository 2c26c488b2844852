"""What is held out: stratified, seeded, and never twice."""

import datasets
import numpy as np
import pytest

from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data import content as contents
from hf_cifar.data.content import image_hashes
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.data.splits import make_splits, stratified_choice
from hf_cifar.errors import InputError
from hf_cifar.run.origins import SplitKind, SplitOrigin


def images(name, labels, content=None) -> LabeledImages:
    """Rows whose files hold `content`, by default each another one."""
    cells = [{"bytes": f"{name} {value}".encode(), "path": None} for value in content or range(len(labels))]
    rows = datasets.Dataset.from_dict({"image": cells}, datasets.Features({"image": datasets.Image(decode=False)}))
    return LabeledImages(name, rows, np.array(labels), np.arange(len(labels)), name)


def source(**labels) -> Source:
    splits = {name: images(name, values) for name, values in labels.items()}
    return Source("made up", "folder", None, splits, ["a", "b", "c"])


UNEVEN = [0] * 100 + [1] * 40 + [2] * 10


def test_validation_is_a_tenth_of_every_class_and_apart_from_train():
    parts = make_splits(source(train=UNEVEN, test=[0, 1, 2]), DataConfig(), seed=0)
    assert np.bincount(parts.validation.targets).tolist() == [10, 4, 1]
    assert sorted([*parts.train.index, *parts.validation.index]) == list(range(150))
    assert parts.test.index.tolist() == [0, 1, 2]
    assert parts.origin["validation"] == SplitOrigin(SplitKind.HELD_OUT, "train", 0.1, 0)


def test_seed_rules_validation_but_not_a_test_part_that_had_to_be_held_out():
    one, same, other = (make_splits(source(train=UNEVEN), DataConfig(), seed) for seed in (1, 1, 2))
    assert np.array_equal(one.validation.index, same.validation.index)
    assert not np.array_equal(one.validation.index, other.validation.index)
    assert np.array_equal(one.test.index, other.test.index)
    assert np.bincount(one.test.targets).tolist() == [20, 8, 2]
    together = np.concatenate([images.index for images in one.parts().values()])
    assert len(set(together.tolist())) == len(together) == 150
    assert one.origin["test"] == SplitOrigin(SplitKind.HELD_OUT, "train", 0.2, 0, substitute=True)


def test_without_identical_files_the_draw_is_the_plain_stratified_one():
    labels = np.array(UNEVEN)
    parts = make_splits(source(train=UNEVEN), DataConfig(), seed=3)
    test = stratified_choice(labels, 30, 0, leave=1)
    rest = np.setdiff1d(np.arange(150), test)
    validation = rest[stratified_choice(labels[rest], 12, 3, leave=1)]
    assert np.array_equal(parts.test.index, test) and np.array_equal(parts.validation.index, validation)


@pytest.mark.parametrize("seed", range(3))
def test_identical_files_are_on_one_side(seed):
    content = [number // 3 for number in range(150)]  # three copies of each
    labels = [number // 3 % 3 for number in range(150)]
    split = Source("made up", "folder", None, {"train": images("train", labels, content)}, ["a", "b", "c"])
    parts = make_splits(split, DataConfig(), seed)
    held = {name: {content[row] for row in part.index} for name, part in parts.parts().items()}
    assert not held["train"] & held["test"] and not held["train"] & held["validation"]
    assert not held["test"] & held["validation"]
    assert len(parts.test) == 30 and len(parts.validation) == 12  # fractions of the images, as without copies
    assert np.ptp(np.bincount(parts.test.targets)) <= 3


def test_no_image_is_hashed_twice_for_the_splits_and_their_record(monkeypatch):
    content = [number // 3 for number in range(150)]
    train = images("train", [value % 3 for value in content], content)
    split = Source("made up", "folder", None, {"train": train}, ["a", "b", "c"])
    hashed, of = [], contents._hash
    monkeypatch.setattr(contents, "_hash", lambda bytes_: hashed.append(bytes_) or of(bytes_))
    parts = make_splits(split, DataConfig(), 0).parts()
    record = {name: image_hashes(part) for name, part in parts.items()}
    assert len(hashed) == 150
    cells = train.rows["image"]
    for name, part in parts.items():
        assert record[name].tolist() == [of(cells[int(row)]["bytes"]) for row in part.index]


def test_a_file_under_two_labels_is_for_training():
    labels, content = [0, 1] * 50, [0, 0, *range(2, 100)]
    split = Source("made up", "folder", None, {"train": images("train", labels, content)}, ["a", "b"])
    for seed in range(20):
        assert {0, 1} <= set(make_splits(split, DataConfig(val_fraction=0.5), seed).train.index.tolist())


def test_one_picture_under_two_labels_cannot_be_divided():
    split = Source("made up", "folder", None, {"train": images("train", [0, 1] * 5, [0] * 10)}, ["a", "b"])
    with pytest.raises(InputError, match="has no images: the dataset is too small to hold any out"):
        make_splits(split, DataConfig(), 0)


def test_published_validation_is_used_as_it_is():
    parts = make_splits(source(train=UNEVEN, validation=[0, 1], test=[2]), DataConfig(), seed=0)
    assert len(parts.train) == 150 and parts.validation.name == "validation" and parts.test.name == "test"


def test_published_validation_serves_as_test_where_there_is_none():
    parts = make_splits(source(train=UNEVEN, validation=[0, 1, 2]), DataConfig(), seed=0)
    assert parts.test.name == "validation" and len(parts.test) == 3
    assert parts.validation.name == "train" and len(parts.validation) == 15
    assert parts.origin["test"] == SplitOrigin(SplitKind.PUBLISHED, "validation", substitute=True)


def test_limits_are_stratified_and_each():
    config = DataConfig(max_train_samples=30, max_eval_samples=15)
    parts = make_splits(source(train=UNEVEN, test=UNEVEN), config, seed=0)
    assert np.bincount(parts.train.targets).tolist() == [20, 8, 2]
    assert np.bincount(parts.validation.targets).tolist() == [10, 4, 1]
    assert np.bincount(parts.test.targets).tolist() == [10, 4, 1]
    assert parts.origin["test"].limit == 15


def test_no_class_leaves_train():
    parts = make_splits(source(train=[0] * 9 + [1], test=[0, 1]), DataConfig(val_fraction=0.5), seed=0)
    assert set(parts.train.targets) == {0, 1}


def test_too_small_a_dataset_is_refused():
    with pytest.raises(InputError, match="validation has no images"):
        make_splits(source(train=[0, 1], test=[0, 1]), DataConfig(), seed=0)


@pytest.mark.parametrize("count", [1, 7, 50, 149, 150])
def test_choice_has_the_size_and_the_shares(count):
    labels = np.array(UNEVEN)
    chosen = stratified_choice(labels, count, seed=3)
    assert len(chosen) == len(set(chosen.tolist())) == count
    share = np.bincount(labels[chosen], minlength=3)
    assert np.abs(share - np.array([100, 40, 10]) * count / 150).max() < 1


def test_bad_fractions_are_refused():
    for value in (0.0, 1.0, -0.1):
        with pytest.raises(InputError, match="--val-fraction"):
            RunConfig.from_dict({"data": {"val_fraction": value}})
