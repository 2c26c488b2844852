import pytest

from hf_cifar.data.split_names import splits_in, usual_split


def test_usual_names():
    names = ("Training", "val", "dev", "TEST", "eval", "extra")
    assert [usual_split(name) for name in names] == ["train", "validation", "validation", "test", "test", None]


@pytest.mark.parametrize(("name", "expected"), [
    ("train-00000-of-00002", ["train"]),
    ("my_data.Test", ["test"]),
    ("valid2", ["validation"]),
    ("training_part_1", ["train"]),
    ("trainer", []),
    ("extra-00000-of-00001", []),
    ("contest", []),
    ("train-test", ["train", "test"]),
])  # fmt: skip
def test_words_of_a_name(name, expected):
    assert splits_in(name) == expected
