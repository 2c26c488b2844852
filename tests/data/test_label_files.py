"""Images whose labels are in a file beside them."""

import json

import pytest
from PIL import Image
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError


def photo(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value, 0, 0)).save(path)


def labels_of(folder, **options):
    """For each split, the class and the red of each image."""
    source = load_source(DataConfig(dataset=str(folder), **options))
    return {
        split: [
            (source.label_names[label], image.getpixel((0, 0))[0])
            for label, image in zip(images.targets, images.decode(range(len(images))), strict=True)
        ]
        for split, images in source.splits.items()
    }


def test_metadata_csv_in_each_split_as_datasets_has_it(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for number in range(count):
            photo(tmp_path / split / f"{number}.png", 10 * number)
        rows = [f"{number}.png,{'cat' if number % 2 else 'dog'},someone" for number in range(count)]
        (tmp_path / split / "metadata.csv").write_text("\n".join(["file_name,label,photographer", *rows]) + "\n")
    assert labels_of(tmp_path) == {
        "train": [("dog", 0), ("cat", 10), ("dog", 20)],
        "test": [("dog", 0), ("cat", 10)],
    }


def test_metadata_jsonl_at_the_root_names_images_below_it(tmp_path):
    rows = []
    for number, split in enumerate(("train", "train", "validation", "train")):
        photo(tmp_path / split / "a" / f"{number}.png", number)
        rows.append({"file_name": f"{split}/a/{number}.png", "label": ["x", "y"][number % 2], "boxes": [[1, 2]]})
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert labels_of(tmp_path) == {"train": [("x", 0), ("y", 1), ("y", 3)], "validation": [("x", 2)]}


@pytest.mark.parametrize(
    ("header", "name"),
    [("image,label", "{}.png"), ("id;label", "{}"), ("filename\tcategory", "images/{}.png"), ("path,class", "{}.png")],
)
def test_labels_csv_beside_a_folder_of_images(header, name, tmp_path):
    """Excel's mark at the beginning and its semicolons, names with and without folder and suffix."""
    for number in range(3):
        photo(tmp_path / "images" / f"{number}.png", number)
    separator = next(mark for mark in ",;\t" if mark in header)
    lines = [header, *(f"{name.format(number)}{separator} {'ab'[number % 2]}" for number in range(3))]
    (tmp_path / "labels.csv").write_text("\r\n".join(lines), encoding="utf-8-sig")
    assert labels_of(tmp_path) == {"train": [("a", 0), ("b", 1), ("a", 2)]}


def test_a_file_for_each_split_and_a_column_that_says_it(tmp_path):
    for number in range(4):
        photo(tmp_path / "by-file" / "images" / f"{number}.png", number)
        photo(tmp_path / "by-column" / "images" / f"{number}.png", number)
    (tmp_path / "by-file" / "train.csv").write_text("file_name,label\n0.png,a\n1.png,b\n")
    (tmp_path / "by-file" / "test.csv").write_text("file_name,label\n3.png,a\n2.png,b\n")
    rows = "0.png,a,train\n1.png,b,train\n3.png,a,test\n2.png,b,test\n"
    (tmp_path / "by-column" / "labels.csv").write_text("file_name,label,split\n" + rows)
    expected = {"train": [("a", 0), ("b", 1)], "test": [("a", 3), ("b", 2)]}
    assert labels_of(tmp_path / "by-file") == labels_of(tmp_path / "by-column") == expected


def test_labels_stay_as_they_are_written(tmp_path):
    """007 is no 7, and NA no missing value."""
    for number in range(4):
        photo(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text("file_name,label\n0.png,007\n1.png,7\n2.png,NA\n3.png,1e5\n")
    assert load_source(DataConfig(dataset=str(tmp_path))).label_names == ["007", "1e5", "7", "NA"]


def test_numbers_are_classes_in_their_order_and_said_to_have_no_names(tmp_path, capsys):
    for number in range(3):
        photo(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text("file_name,label\n0.png,10\n1.png,9\n2.png,10.0\n".replace("10.0", "10"))
    assert load_source(DataConfig(dataset=str(tmp_path))).label_names == ["9", "10"]
    assert "the labels in column 'label' have no names" in capsys.readouterr().err


def test_the_label_column_can_be_chosen_and_the_choice_is_said(tmp_path):
    for number in range(2):
        photo(tmp_path / f"{number}.png")
    (tmp_path / "metadata.csv").write_text("file_name,label,category,size\n0.png,a,x,big\n1.png,b,y,big\n")
    source = load_source(DataConfig(dataset=str(tmp_path)))
    assert source.label_names == ["a", "b"]
    assert source.layout.describe() == "metadata.csv: columns file_name and label, not category: --label-column chooses"
    assert load_source(DataConfig(dataset=str(tmp_path), label_column="category")).label_names == ["x", "y"]
    (tmp_path / "metadata.csv").write_text("file_name,who,where\n0.png,a,x\n1.png,b,y\n")
    with pytest.raises(
        InputError, match=r"several columns could hold the labels: .*--label-column; columns: who, where"
    ):
        load_source(DataConfig(dataset=str(tmp_path)))


def test_folders_of_classes_label_images_whose_metadata_says_something_else(tmp_path):
    folder = write_images(tmp_path / "train", 2)
    rows = [f"{name}/{number}.png,a caption" for name in ("red", "green", "blue") for number in range(2)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,text", *rows]))
    source = load_source(DataConfig(dataset=str(tmp_path)))
    assert source.label_names == ["blue", "green", "red"] and "labels by the folders" in source.layout.words


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a/../../secret.png", "..\\secret.png"])
def test_a_file_outside_of_the_folder_is_refused(name, tmp_path):
    photo(tmp_path / "secret.png")
    photo(tmp_path / "data" / "0.png")
    (tmp_path / "data" / "metadata.csv").write_text(f"file_name,label\n0.png,a\n{name},b\n")
    with pytest.raises(InputError, match=r"metadata\.csv row 2 names .*secret\.png', which is outside of"):
        load_source(DataConfig(dataset=str(tmp_path / "data")))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.csv", "file_name,label\n0.png,a\n1.png,b\ngone.png,a\n", "row 3 names 'gone.png': there is no such"),
        ("metadata.csv", "file_name,label\n0.png,a\n1.png,b\n0.png,b\n", "0.png is named by several rows"),
        ("metadata.csv", "file_name,label\n0.png,a\n1.png\n", "row 2 has 1 cells, where the header has 2"),
        ("metadata.csv", "file_name,label\n0.png,a\n,b\n", "row 2 names no file"),
        ("metadata.csv", "file_name,label\n0.png,a\n1.png,\n", "missing labels: 1 of 2 rows of train"),
        ("metadata.csv", "title,label\nx,a\n", "has no column file_name that names images"),
        ("metadata.jsonl", '{"file_name": "0.png", "label": 1}\nnot json\n', "line 2 is no JSON"),
        ("metadata.jsonl", '["0.png", 1]\n', "line 1 is no JSON object"),
        ("metadata.csv", "file_name,label,label\n0.png,a,b\n", "several columns of one name"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_with_its_row(name, text, message, tmp_path):
    for number in range(2):
        photo(tmp_path / f"{number}.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refusal:
        load_source(DataConfig(dataset=str(tmp_path)))
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_two_files_that_could_hold_the_labels_are_refused(tmp_path):
    photo(tmp_path / "0.png")
    for name in ("labels.csv", "metadata.csv"):
        (tmp_path / name).write_text("file_name,label\n0.png,a\n")
    with pytest.raises(InputError, match=r"several files could hold the labels \(labels\.csv, metadata\.csv\)"):
        load_source(DataConfig(dataset=str(tmp_path)))


def test_images_that_no_row_names_are_left_out_aloud(tmp_path, capsys):
    for number in range(3):
        photo(tmp_path / f"{number}.png")
    (tmp_path / "metadata.csv").write_text("file_name,label\n0.png,a\n2.png,b\n")
    assert len(load_source(DataConfig(dataset=str(tmp_path))).splits["train"]) == 2
    assert "1 images left out, which no row of metadata.csv names (first: 1.png)" in capsys.readouterr().err


def test_a_table_that_names_no_images_does_not_hide_the_folders_of_classes(tmp_path, capsys):
    write_images(tmp_path, 2)
    (tmp_path / "labels.csv").write_text("number,meaning\n0,red\n1,green\n")
    assert load_source(DataConfig(dataset=str(tmp_path))).label_names == ["blue", "green", "red"]
    assert "labels.csv has no column that names image files (number, meaning)" in capsys.readouterr().err


def test_the_fingerprint_changes_with_the_labels(tmp_path):
    for number in range(2):
        photo(tmp_path / f"{number}.png", number)
    prints = []
    for text in ("0.png,a\n1.png,b\n", "0.png,b\n1.png,a\n"):
        (tmp_path / "metadata.csv").write_text("file_name,label\n" + text)
        prints.append(load_source(DataConfig(dataset=str(tmp_path))).splits["train"].fingerprint)
    assert prints[0] != prints[1]
