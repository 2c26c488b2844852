"""Where data comes from, and what is found in it."""

import os

import datasets
import numpy as np
import pytest
from PIL import Image
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data import sources
from hf_cifar.data.sources import DIGIT_NAMES, load_source
from hf_cifar.errors import InputError


def picture(value: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (value % 256, 0, 0))


def parquet(folder, split, columns, features=None):
    folder.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / f"{split}-00000-of-00001.parquet")


def hub_layout(folder, labels, feature, test_labels=None, image="img"):
    features = datasets.Features({image: datasets.Image(), "label": feature})
    images = [picture(number) for number in range(len(labels))]
    parquet(folder / "plain_text", "train", {image: images, "label": labels}, features)
    if test_labels is not None:
        parquet(folder / "plain_text", "test", {image: images[: len(test_labels)], "label": test_labels}, features)
    return load_source(DataConfig(dataset=str(folder)))


def test_parquet_in_the_hubs_layout(tmp_path):
    source = hub_layout(tmp_path / "d", [0, 1, 2, 1], datasets.ClassLabel(names=["a", "b", "c"]), [2, 0])
    assert source.label_names == ["a", "b", "c"]
    assert set(source.splits) == {"train", "test"}
    assert source.splits["train"].labels.tolist() == [0, 1, 2, 1]
    assert source.splits["test"].decode([1])[0].getpixel((0, 0)) == (1, 0, 0)


def test_parquet_in_the_layout_of_converted_branches(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    for split, count in (("train", 4), ("validation", 2)):
        (tmp_path / "default" / split).mkdir(parents=True)
        table = {"image": [picture(n) for n in range(count)], "label": [n % 2 for n in range(count)]}
        datasets.Dataset.from_dict(table, features=features).to_parquet(tmp_path / "default" / split / "0000.parquet")
    source = load_source(DataConfig(dataset=str(tmp_path)))
    assert {name: len(images) for name, images in source.splits.items()} == {"train": 4, "validation": 2}


def test_string_labels_are_mapped(tmp_path):
    source = hub_layout(tmp_path / "d", ["dog", "ape", "dog", "cat"], datasets.Value("string"), ["cat"])
    assert source.label_names == ["ape", "cat", "dog"]
    assert source.splits["train"].labels.tolist() == [2, 0, 2, 1]
    assert source.splits["test"].labels.tolist() == [1]


def test_numbers_with_gaps_are_mapped(tmp_path):
    source = hub_layout(tmp_path / "d", [7, -2, 100, 7], datasets.Value("int64"), [100])
    assert source.label_names == ["-2", "7", "100"]
    assert source.splits["train"].labels.tolist() == [1, 0, 2, 1]
    assert source.splits["test"].labels.tolist() == [2]


@pytest.mark.parametrize("feature", [datasets.ClassLabel(names=["a", "b"]), datasets.Value("int64")])
def test_missing_labels_are_refused(feature, tmp_path):
    with pytest.raises(InputError, match=r"missing labels: 1 of 2 rows of test have no label \(first: row 1 has -1\)"):
        hub_layout(tmp_path / "d", [0, 1, 1], feature, [0, -1])


def test_a_number_that_train_lacks_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"labels out of range: 1 of 2 labels of test .* row 1 has 7"):
        hub_layout(tmp_path / "d", [0, 1, 1], datasets.Value("int64"), [0, 7])


@pytest.mark.parametrize("labels", [[-1, 1, 1], [-1, -2, 3]])
def test_minus_one_is_a_class_where_classes_do_not_count_from_zero(labels, tmp_path):
    assert "-1" in hub_layout(tmp_path / "d", labels, datasets.Value("int64")).label_names


def test_columns_are_found_whatever_they_are_called(tmp_path):
    features = datasets.Features(
        {
            "id": datasets.Value("int64"),
            "scan": datasets.Image(),
            "kind": datasets.ClassLabel(names=["a", "b"]),
        }
    )
    parquet(tmp_path, "train", {"id": [4, 5], "scan": [picture(1), picture(2)], "kind": [0, 1]}, features)
    assert load_source(DataConfig(dataset=str(tmp_path))).splits["train"].labels.tolist() == [0, 1]


def test_of_two_label_columns_the_usual_name_wins_and_a_flag_overrides(tmp_path):
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=["a", "b", "c"]),
            "coarse_label": datasets.ClassLabel(names=["x", "y"]),
        }
    )
    columns = {"img": [picture(n) for n in range(3)], "fine_label": [0, 1, 2], "coarse_label": [0, 1, 1]}
    parquet(tmp_path, "train", columns, features)
    assert load_source(DataConfig(dataset=str(tmp_path))).label_names == ["a", "b", "c"]
    assert load_source(DataConfig(dataset=str(tmp_path), label_column="coarse_label")).label_names == [
        "x",
        "y",
    ]
    with pytest.raises(InputError, match=r"unknown column for --label-column 'fine_lable': did you mean 'fine_label'"):
        load_source(DataConfig(dataset=str(tmp_path), label_column="fine_lable"))
    with pytest.raises(InputError, match=r"unknown column for --image-column 'image': did you mean 'img'|known: img"):
        load_source(DataConfig(dataset=str(tmp_path), image_column="image"))


def test_images_that_another_tool_wrote_as_bytes(tmp_path):
    """Parquet without the Hub's feature metadata, as pandas writes it."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = []
    for number in range(4):
        buffer = io.BytesIO()
        picture(number).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": f"{number}.png"})
    pq.write_table(pa.table({"image": cells, "label": ["a", "b", "a", "b"]}), tmp_path / "train.parquet")
    source = load_source(DataConfig(dataset=str(tmp_path)))
    assert source.splits["train"].decode([3])[0].getpixel((0, 0)) == (3, 0, 0)


def test_image_folder(image_folder):
    source = load_source(DataConfig(dataset=str(image_folder)))
    assert source.label_names == ["blue", "green", "red"]
    assert {name: len(images) for name, images in source.splits.items()} == {"train": 60, "test": 18}
    assert np.bincount(source.splits["train"].labels).tolist() == [20, 20, 20]
    red = source.splits["test"].select(np.flatnonzero(source.splits["test"].labels == 2)[:1])
    pixels = np.asarray(red.decode([0])[0]).mean((0, 1))
    assert pixels.argmax() == 0


def test_image_folder_without_split_folders(tmp_path):
    write_images(tmp_path, 5, ["dev board", "training shoe"])
    source = load_source(DataConfig(dataset=str(tmp_path)))
    assert set(source.splits) == {"train"}
    assert source.label_names == ["dev board", "training shoe"]


def test_a_class_that_train_lacks_is_refused(tmp_path):
    write_images(tmp_path / "train", 3, ["a", "b"])
    write_images(tmp_path / "test", 3, ["a", "zebra"])
    with pytest.raises(InputError, match=r"labels out of range: 3 of 6 labels of test .*'zebra'"):
        load_source(DataConfig(dataset=str(tmp_path)))


def test_useless_folders_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        load_source(DataConfig(dataset=str(tmp_path / "empty")))
    write_images(tmp_path / "one" / "train", 3, ["only"])
    with pytest.raises(InputError, match="only one class"):
        load_source(DataConfig(dataset=str(tmp_path / "one")))
    (tmp_path / "flat" / "train").mkdir(parents=True)
    picture(0).save(tmp_path / "flat" / "train" / "0.png")
    with pytest.raises(InputError, match="not in the folder of a class"):
        load_source(DataConfig(dataset=str(tmp_path / "flat")))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.parquet").write_text("not parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load_source(DataConfig(dataset=str(tmp_path / "bad")))
    (tmp_path / "text").mkdir()
    datasets.Dataset.from_dict({"words": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "text" / "train.parquet")
    with pytest.raises(InputError, match="no column holds the images"):
        load_source(DataConfig(dataset=str(tmp_path / "text")))


def test_names_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"unknown dataset 'cifar1O': did you mean 'cifar10'"):
        load_source(DataConfig(dataset="cifar1O"))
    with pytest.raises(InputError, match="no such folder"):
        load_source(DataConfig(dataset=str(tmp_path / "missing")))


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    source = load_source(DataConfig(dataset="digits"))
    train = source.splits["train"]
    assert source.name == "digits (scikit-learn)" and source.label_names == DIGIT_NAMES
    assert train.labels.tolist() == load_digits().target.tolist()
    pixels = np.asarray(train.decode([7])[0])
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels[:, :, 1] / 255 - load_digits().images[7] / 16).max() < 0.5 / 255


def test_fingerprint_follows_the_content(tmp_path):
    folder = write_images(tmp_path / "train", 3).parent
    before = load_source(DataConfig(dataset=str(folder))).splits["train"].fingerprint
    assert load_source(DataConfig(dataset=str(folder))).splits["train"].fingerprint == before
    picture(9).save(folder / "train" / "red" / "1.png")
    assert load_source(DataConfig(dataset=str(folder))).splits["train"].fingerprint != before


def test_fingerprint_of_few_files_follows_their_content_and_not_their_times(tmp_path, monkeypatch):
    folder = write_images(tmp_path / "train", 3).parent
    fingerprint = lambda: load_source(DataConfig(dataset=str(folder))).splits["train"].fingerprint  # noqa: E731
    before, file = fingerprint(), folder / "train" / "red" / "1.png"
    state, content = file.stat(), bytearray(file.read_bytes())
    os.utime(file, ns=(1, 1))
    assert fingerprint() == before
    content[-20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint() != before, "the same size and time, another content"
    monkeypatch.setattr(sources, "FEW_FILES", 1)
    before = fingerprint()
    os.utime(file, ns=(1, 1))
    assert fingerprint() != before


def test_classes_that_cannot_be_trained_are_refused(tmp_path, monkeypatch):
    write_images(tmp_path / "a" / "train", 1, ["LABEL_0", "x"])
    with pytest.raises(InputError, match="a class is called LABEL_0"):
        load_source(DataConfig(dataset=str(tmp_path / "a")))
    write_images(tmp_path / "b" / "train", 1)
    monkeypatch.setattr(sources, "MAX_CLASSES", 2)
    with pytest.raises(InputError, match="3 classes: at most 2"):
        load_source(DataConfig(dataset=str(tmp_path / "b")))


def test_a_hub_dataset_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"dataset nobody/nothing cannot be loaded from Hub or cache .*--dataset DIR"):
        load_source(DataConfig(dataset="nobody/nothing"))
