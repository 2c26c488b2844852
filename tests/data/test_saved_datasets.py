"""What `save_to_disk` has written, and nothing beside it."""

import json

import datasets
import pytest
from PIL import Image

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError


def table(count=4):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    images = [Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(count)]
    return datasets.Dataset.from_dict({"image": images, "label": [n % 2 for n in range(count)]}, features=features)


def load(folder):
    return load_source(DataConfig(dataset=str(folder)))


def test_splits_of_a_dictionary_of_a_table_and_of_tables(tmp_path):
    tables = datasets.DatasetDict({"train": table(), "test": table(2)})
    tables.save_to_disk(str(tmp_path / "dictionary"))
    table().save_to_disk(str(tmp_path / "single"))
    for split, part in tables.items():
        part.save_to_disk(str(tmp_path / "parts" / split))
    for name in ("dictionary", "parts"):
        source = load(tmp_path / name)
        assert {split: len(images) for split, images in source.splits.items()} == {"train": 4, "test": 2}
        assert source.label_names == ["a", "b"] and source.splits["test"].decode([1])[0].getpixel((0, 0))[0] == 1
        assert source.layout.describe() == "save_to_disk: columns image and label"
    assert list(load(tmp_path / "single").splits) == ["train"]


@pytest.mark.parametrize("name", ["../elsewhere/data-00000-of-00001.arrow", "/x.arrow", "", None])
def test_a_table_outside_of_the_folder_is_refused(name, tmp_path):
    table().save_to_disk(str(tmp_path / "elsewhere"))
    table().save_to_disk(str(tmp_path / "data"))
    state = json.loads((tmp_path / "data" / "state.json").read_text())
    state["_data_files"] = [{"filename": name}]
    (tmp_path / "data" / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match="does not list the files of a saved dataset in its own folder"):
        load(tmp_path / "data")


def test_splits_outside_of_the_folder_are_refused(tmp_path):
    table().save_to_disk(str(tmp_path / "elsewhere"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_dict.json").write_text('{"splits": ["../elsewhere"]}')
    with pytest.raises(InputError, match="does not list the splits"):
        load(tmp_path / "data")


@pytest.mark.parametrize("file", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
def test_a_damaged_dataset_is_one_line(file, tmp_path):
    table().save_to_disk(str(tmp_path))
    (tmp_path / file).write_text("damaged")
    with pytest.raises(InputError) as refusal:
        load(tmp_path)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    table().save_to_disk(str(tmp_path))
    (tmp_path / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(InputError, match=r"data-00000-of-00001\.arrow is missing"):
        load(tmp_path)
