import datasets
import pytest

from hf_cifar.data.columns import find_classes, image_column, label_column
from hf_cifar.errors import InputError

IMAGE, CLASS = datasets.Image(), datasets.ClassLabel(names=["a", "b"])
TEXT, NUMBER, FLOAT = (datasets.Value(kind) for kind in ("string", "int64", "float32"))
BYTES = {"bytes": datasets.Value("binary"), "path": TEXT}


@pytest.mark.parametrize(("features", "expected"), [
    ({"scan": IMAGE, "label": CLASS}, "scan"),
    ({"thumbnail": IMAGE, "img": IMAGE, "label": CLASS}, "img"),
    ({"photo": datasets.Value("binary"), "label": CLASS}, "photo"),
    ({"photo": BYTES, "label": CLASS}, "photo"),
])  # fmt: skip
def test_image_column(features, expected):
    assert image_column(datasets.Features(features), None) == expected


@pytest.mark.parametrize(("features", "expected"), [
    ({"image": IMAGE, "id": NUMBER, "kind": CLASS}, "kind"),
    ({"image": IMAGE, "id": NUMBER, "Target": TEXT}, "Target"),
    ({"image": IMAGE, "kind": TEXT}, "kind"),
    ({"image": IMAGE, "coarse": CLASS, "label": CLASS}, "label"),
])  # fmt: skip
def test_label_column(features, expected):
    assert label_column(datasets.Features(features), None, "image") == expected


@pytest.mark.parametrize(("find", "message"), [
    (lambda features: image_column(features, None), "several columns could hold the images: name it with --image"),
    (lambda features: label_column(features, None, "left"), "no column holds the labels: name it with --label-column"),
    (lambda features: image_column(features, "lfet"), "unknown column for --image-column 'lfet': did you mean 'left'"),
])  # fmt: skip
def test_what_cannot_be_decided_is_asked_for(find, message):
    with pytest.raises(InputError, match=message):
        find(datasets.Features({"left": IMAGE, "right": IMAGE, "score": FLOAT}))


def test_classes_are_names_or_distinct_values():
    assert find_classes(CLASS, [1, 1], "label", "train").names == ["a", "b"]
    assert find_classes(NUMBER, [10, 2, 10, None], "label", "train").names == ["2", "10"]
    assert find_classes(TEXT, ["b", "a", "b"], "label", "train").names == ["a", "b"]
    with pytest.raises(InputError, match=r"column 'score' holds .*float32.*, not one class for each image"):
        find_classes(FLOAT, [0.5], "score", "train")
