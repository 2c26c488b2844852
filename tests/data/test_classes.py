"""Labels of every split in train's numbering, whatever the split's own."""

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.classes import Classes
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError

RED_FIRST = datasets.ClassLabel(names=["red", "green", "blue"])
BLUE_FIRST = datasets.ClassLabel(names=["blue", "green", "red"])
TEXT, NUMBER = datasets.Value("string"), datasets.Value("int64")
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def colours(folder, **splits):
    """A folder of Parquet files with images of one colour each; of each split (colours, labels, feature)."""
    for name, (images, labels, feature) in splits.items():
        features = datasets.Features({"image": datasets.Image(), "label": feature})
        columns = {"image": [Image.new("RGB", (4, 4), COLOURS[colour]) for colour in images], "label": labels}
        datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / f"{name}.parquet")
    return load_source(DataConfig(dataset=str(folder)))


def seen(source, split):
    """The colour of every image, by its pixels, and by its label."""
    images = source.splits[split]
    by_pixels = [["red", "green", "blue"][int(np.argmax(image.getpixel((0, 0))))] for image in images.decode(range(3))]
    return by_pixels, [source.label_names[label] for label in images.targets]


@pytest.mark.parametrize(("labels", "feature"), [
    ([0, 1, 2], BLUE_FIRST),
    (["blue", "green", "red"], TEXT),
])  # fmt: skip
def test_labels_of_test_mean_what_its_own_names_say(labels, feature, tmp_path):
    source = colours(
        tmp_path,
        train=(["red", "green", "blue"], [0, 1, 2], RED_FIRST),
        test=(["blue", "green", "red"], labels, feature),
    )
    assert source.label_names == ["red", "green", "blue"]
    for split in ("train", "test"):
        by_pixels, by_label = seen(source, split)
        assert by_pixels == by_label


def test_strings_in_train_and_a_class_label_in_test(tmp_path):
    source = colours(
        tmp_path,
        train=(["red", "green", "blue"], ["red", "green", "blue"], TEXT),
        test=(["blue", "green", "red"], [2, 1, 0], RED_FIRST),
    )
    assert source.label_names == ["blue", "green", "red"]
    by_pixels, by_label = seen(source, "test")
    assert by_pixels == by_label


def test_a_name_that_train_lacks_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"1 of 3 labels of test .*row 2 has 'rde'\); did you mean 'red'\?") as refusal:
        colours(
            tmp_path,
            train=(["red", "green", "blue"], [0, 1, 2], RED_FIRST),
            test=(["blue", "green", "red"], [0, 1, 2], datasets.ClassLabel(names=["blue", "green", "rde"])),
        )
    assert "\n" not in str(refusal.value)


def test_a_name_that_no_image_has_does_not_matter():
    feature = datasets.ClassLabel(names=["unknown", "blue", "green", "red"])
    classes = Classes(RED_FIRST.names, [0, 1, 2], named=True)
    assert classes.encode(feature, [3, 1], "test").tolist() == [0, 2]


def test_plain_numbers_are_trains_numbers_and_that_is_said(capsys):
    classes = Classes(RED_FIRST.names, [0, 1, 2], named=True)
    assert classes.encode(NUMBER, [2, 0], "test").tolist() == [2, 0]
    assert "the numbers of test are read in the order of train (0 is 'red')" in capsys.readouterr().err
    with pytest.raises(InputError, match="row 1 has 3"):
        classes.encode(NUMBER, [2, 3], "test")
    numbers = Classes(["0", "1"], [0, 1], named=False)
    assert numbers.encode(datasets.ClassLabel(names=["a", "b"]), [1], "test").tolist() == [1]
    assert "only one of train and test has names" in capsys.readouterr().err


@pytest.mark.parametrize(("classes", "feature", "values", "message"), [
    (Classes(["7", "3"], [0, 1], named=True), NUMBER, [7, 3], "label 7 of test may be the class named '7'"),
    (Classes(["1", "0"], [0, 1], named=True), NUMBER, [0, 1], "label 0 of test may be the class named '0'"),
    (Classes(["1", "2"], [1, 2], named=False), datasets.ClassLabel(names=["a", "b"]), [0, 1], "row 0 has 'a'"),
    (Classes(["a", "b"], ["a", "b"], named=True), NUMBER, [0, 1], "row 0 has 0"),
    (Classes(["0", "1"], [0, 1], named=False), TEXT, ["0", "1"], "row 0 has '0'"),
    (Classes(["a", "b"], [0, 1], named=True), datasets.ClassLabel(names=["a", "b"]), [0, -1], "row 1 has -1"),
])  # fmt: skip
def test_numbers_whose_meaning_is_not_certain_are_refused(classes, feature, values, message):
    with pytest.raises(InputError, match=message):
        classes.encode(feature, values, "test")


def test_numbers_named_by_numbers_are_matched_by_name():
    """Train has 3 and 7; test's ClassLabel calls them "3" and "7", and counts from 0."""
    classes = Classes(["3", "7"], [3, 7], named=False)
    assert classes.encode(datasets.ClassLabel(names=["7", "3"]), [0, 1, 1], "test").tolist() == [1, 0, 0]
    assert Classes(["0", "1"], [0, 1], named=True).encode(NUMBER, [1, 0], "test").tolist() == [1, 0]
