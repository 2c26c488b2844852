"""What holds for any configuration, any labels and any text, tried on examples that a machine makes up."""

import csv
import os

import datasets
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from hf_cifar.config.options.data import DataConfig
from hf_cifar.config.recipes import to_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import Source
from hf_cifar.data.splits import make_splits, stratified_choice
from hf_cifar.errors import InputError
from hf_cifar.hub.local_paths import without_paths
from hf_cifar.inference.image_paths import find_images
from hf_cifar.run.resolve import request_for
from hf_cifar.utils.files import from_csv_text, write_csv

rates = some.floats(1e-6, 1e3)
options = some.fixed_dictionaries(
    {},
    optional={
        "seed": some.integers(0, 2**64 - 1),
        "learning_rates": some.lists(rates, min_size=1, max_size=5),
        "val_fraction": some.floats(0.001, 0.999),
        "image_size": some.integers(8, 4096),
        "mixup": some.floats(0, 10),
        "ema": some.floats(0, 0.999),
        "unfreeze": some.sampled_from(["all", "gradual", "layer4", "layer4,layer3"]),
        "max_train_samples": some.integers(1, 10**12),
        "skip_corrupt": some.booleans(),
        "label_column": some.text(some.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1),
        "head_lr": rates,
        "num_train_epochs": some.integers(1, 1000),
    },
)
labels = some.lists(some.integers(0, 6), min_size=1, max_size=200)
text = some.text(some.characters(codec="utf-8"), max_size=30)


def is_name(part: str) -> bool:
    return part not in (".", "..")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(options)
def test_a_configuration_is_read_as_it_was_written(tmp_path_factory, given_options):
    config = request_for("lpft", {"dataset": "digits", "model": "resnet18-mini", **given_options}).config
    file = tmp_path_factory.mktemp("config") / "run.yaml"
    file.write_text(to_yaml(config.to_dict()), encoding="utf-8")
    assert RunConfig.read(file) == config
    for name, value in given_options.items():
        assert any(value == getattr(part, name, None) for part in (config, *vars(config).values())) or (
            value == config.finetune.training[name]
        )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(labels, some.floats(0.01, 0.99), some.integers(0, 2**64 - 1))
def test_splits_are_disjoint_complete_and_the_same_again(values, fraction, seed):
    cells = [{"bytes": bytes([number % 256, number // 256]), "path": None} for number in range(len(values))]
    rows = datasets.Dataset.from_dict({"image": cells})
    images = LabeledImages("train", rows, np.array(values), np.arange(len(values)), "x")
    source = Source("made up", "folder", None, {"train": images}, [str(name) for name in range(7)])
    try:
        one, again = (make_splits(source, DataConfig(val_fraction=fraction), seed).parts() for _ in range(2))
    except InputError as error:
        assert "has no images" in str(error)  # too few to hold any out
        return
    rows = np.concatenate([part.index for part in one.values()])
    assert sorted(rows.tolist()) == list(range(len(values)))
    assert set(one["train"].targets) == set(values), "no class leaves train"
    assert all(np.array_equal(one[name].index, again[name].index) for name in one)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(labels, some.data())
def test_every_class_has_its_share_of_a_choice(values, data):
    values = np.array(values)
    count, seed = data.draw(some.integers(1, len(values))), data.draw(some.integers(0, 2**32))
    chosen = stratified_choice(values, count, seed)
    assert len(chosen) == len(set(chosen.tolist())) == count
    for label in set(values.tolist()):
        share = count * (values == label).sum() / len(values)
        assert abs((values[chosen] == label).sum() - share) < 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(some.lists(text, min_size=1, max_size=5))
def test_no_csv_cell_is_a_formula_and_every_text_comes_back(tmp_path_factory, texts):
    file = tmp_path_factory.mktemp("csv") / "x.csv"
    write_csv(file, [{"a": value, "b": 1} for value in texts], ["a", "b"])
    with file.open(newline="", encoding="utf-8") as lines:
        cells = [row["a"] for row in csv.DictReader(lines)]
    assert [from_csv_text(cell) for cell in cells] == [value.replace("\r", "␍").replace("\0", "␀") for value in texts]
    for cell in cells:
        assert cell[:1] not in ("=", "@", "\t", "\n") and (
            cell[:1] not in ("+", "-") or cell[1:].replace(".", "").isdigit()
        )


names = some.text(some.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(some.lists(names.filter(is_name), min_size=1, max_size=6, unique=True))
def test_every_image_of_a_folder_is_found_once_whatever_it_is_called(tmp_path_factory, found_names):
    folder = tmp_path_factory.mktemp("images")
    expected = set()
    for name in found_names:
        for suffix in (".png", ".txt"):
            file = folder / (name.lstrip(".") + suffix)
            file.touch()
            if suffix == ".png" and not file.name.startswith("."):
                expected.add(str(file))
    images = [image.path for image in find_images([str(folder)])] if expected else []
    assert sorted(images) == sorted(expected)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(some.lists(some.from_regex(r"[a-z0-9_.-]{1,8}", fullmatch=True).filter(is_name), min_size=2, max_size=5), text)
def test_no_folder_of_a_path_is_published(parts, before):
    path = "/" + "/".join(["home", *parts])
    published = without_paths({"a": path, "b": [f"{before} {path}"]}, None)
    assert "/home/" not in published["a"] and published["a"] == os.path.basename(path)
    assert "/home/" not in published["b"][0]
