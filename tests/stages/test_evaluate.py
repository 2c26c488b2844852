"""The evaluate stage: any model on any labelled images, against `pipeline`, scikit-learn and the run itself."""

import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score
from support.images import write_images
from support.models import processor, tiny_resnet
from transformers import AutoConfig, pipeline

from hf_cifar.data.label_names import match_labels
from hf_cifar.errors import InputError
from hf_cifar.run.origins import SplitKind
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.evaluate import run_evaluation
from hf_cifar.stages.train import run_training

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved classifier of three colours, with random weights."""
    folder = tmp_path_factory.mktemp("colour-model")
    network = tiny_resnet(num_labels=3, seed=3)
    network.config.id2label = {0: "Red", 1: "green", 2: "dark_blue"}
    network.save_pretrained(folder)
    processor(16).save_pretrained(folder)
    return folder


def evaluate(tmp_path, **options):
    return run_evaluation(request_for("evaluate", {"output_dir": str(tmp_path / "out"), **options}))


def table(result):
    return pq.read_table(result.folder.predictions).to_pydict()


def test_a_run_is_evaluated_on_its_own_test_split_with_the_same_figures(configure, tmp_path):
    request = configure()
    before = run_training(request).metrics
    result = run_evaluation(request_for("evaluate", {"output_dir": str(request.folder)}))
    after = result.metrics
    assert result.folder.path == tmp_path / "run" / "evaluate"
    assert after.dataset.id == before.dataset.id and after.split == "test"
    for name in ("accuracy", "f1_macro", "confusion_matrix", "temperature", "confused_pairs"):
        assert getattr(after.test, name) == getattr(before.test, name)
    for name in ("nll", "ece"):
        assert getattr(after.test, name) == pytest.approx(getattr(before.test, name), abs=1e-5)
    assert after.prediction_sets == before.prediction_sets
    assert [item.asked for item in after.prediction_sets] == [0.9, 0.95, 0.99]
    options = {"checkpoint": str(request.folder), "split": "validation", "output_dir": str(tmp_path / "validation")}
    validation = run_evaluation(request_for("evaluate", options)).metrics
    assert validation.prediction_sets is None, "they were calibrated on these images"
    assert validation.test.accuracy == before.validation.accuracy
    assert validation.test.num_examples == before.dataset.num_validation


MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16")


def write_photographs(folder):
    """Files of very different sizes, modes, formats and EXIF rotations, in three classes."""
    rng = np.random.default_rng(0)
    sizes = [(7, 5), (16, 16), (31, 200), (640, 33), (300, 400), (9, 1)]
    count = 0
    for name in ("red", "green", "dark blue"):
        (folder / name).mkdir(parents=True)
        for number in range(9):
            width, height = sizes[(count + number) % len(sizes)]
            image = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
            mode = MODES[count % len(MODES)]
            image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
            if mode in ("RGB", "L", "CMYK"):
                exif = Image.Exif()
                exif[0x0112] = count % 8 + 1
                image.save(folder / name / f"{number}.jpg", exif=exif)
            elif mode in ("RGBA", "LA") and number % 2:
                image.save(folder / name / f"{number}.webp", lossless=True)
            else:
                image.save(folder / name / f"{number}.png")
            count += 1
    return folder


def test_photographs_of_every_kind_are_answered_as_pipeline_answers_them(model, tmp_path):
    folder = write_photographs(tmp_path / "photos")
    result = evaluate(tmp_path, checkpoint=str(model), dataset=str(folder))
    assert result.metrics.split == "all" and result.metrics.test.num_examples == 27
    answer = pipeline("image-classification", model=str(model))
    names = ["Red", "green", "dark_blue"]
    files = sorted(path for path in folder.rglob("*.*"))
    rows = table(result)
    right = []
    for file, label, probabilities in zip(files, rows["label"], rows["probabilities"], strict=True):
        scores = {item["label"]: item["score"] for item in answer(str(file))}
        assert probabilities == pytest.approx([scores[name] for name in names], abs=1e-5), file
        assert names[label].lower().replace("_", " ") == file.parent.name
        right.append(max(scores, key=scores.get) == names[label])
    assert result.metrics.test.accuracy == pytest.approx(np.mean(right))


def test_fewer_classes_in_another_order_are_measured_on_these(model, tmp_path):
    write_images(tmp_path / "data", 12, classes=("dark blue", "RED"))
    result = evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"))
    rows = table(result)
    assert sorted(set(rows["label"])) == [0, 2]
    test = result.metrics.test
    assert test.accuracy == accuracy_score(rows["label"], rows["prediction"])
    assert test.f1_macro == pytest.approx(f1_score(rows["label"], rows["prediction"], average="macro", zero_division=0))


def test_a_class_that_the_model_does_not_know_is_named(model, tmp_path):
    write_images(tmp_path / "data", 2, classes=("green", "grean"))
    with pytest.raises(InputError, match=r"no class named 'grean'.*did you mean 'green'.*Red, green, dark_blue"):
        evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"))


def test_names_are_matched_exactly_before_loosely():
    assert match_labels(["cat", "Cat"], ["Cat", "dog", "cat"]).tolist() == [2, 0]
    assert match_labels(["sea-lion", "T_REX"], ["t rex", "SeaLion"]).tolist() == [1, 0]
    assert match_labels(["+", "-"], ["-", "+"]).tolist() == [1, 0]
    with pytest.raises(InputError, match="several classes named 'CAT'"):
        match_labels(["CAT"], ["Cat", "cat"])
    with pytest.raises(InputError, match="two classes of the dataset"):
        match_labels(["sea lion", "sea-lion"], ["sea_lion", "dog"])


@pytest.mark.parametrize(
    ("layout", "split", "expected"),
    [
        (("train", "test"), None, ("test", 6)),
        (("train", "test"), "train", ("train", 10)),
        (("train", "test"), "validation", ("validation", 2)),
        (("train", "test"), "all", ("all", 18)),
        (("train", "validation"), None, ("test", 6)),
        (("test",), None, ("test", 6)),
        (("validation",), None, ("validation", 6)),
        ((), None, ("all", 12)),
        ((), "test", ("test", 2)),
    ],
)
def test_which_images_a_split_is(model, tmp_path, layout, split, expected):
    for name in layout:
        write_images(tmp_path / "data" / name, 6 if name == "train" else 3, classes=("red", "green"))
    if not layout:
        write_images(tmp_path / "data", 6, classes=("red", "green"))
    options = {"split": split} if split else {}
    result = evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"), val_fraction=0.2, **options)
    assert (result.metrics.split, result.metrics.test.num_examples) == expected


def test_a_split_that_is_not_there_is_refused(model, tmp_path):
    write_images(tmp_path / "data" / "test", 3, classes=("red", "green"))
    with pytest.raises(InputError, match="--split train: data has no such split, only test"):
        evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"), split="train")


def test_images_that_cannot_be_read_are_left_out_when_asked(model, tmp_path):
    write_images(tmp_path / "data", 4, classes=("red", "green"))
    (tmp_path / "data" / "red" / "bad.png").write_text("no image")
    with pytest.raises(InputError, match=r"bad\.png"):
        evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"))
    result = evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"), skip_corrupt=True)
    assert result.metrics.test.num_examples == 8
    limited = evaluate(
        tmp_path, checkpoint=str(model), dataset=str(tmp_path / "data"), skip_corrupt=True, max_eval_samples=4,
        overwrite=True,
    )  # fmt: skip
    assert limited.metrics.test.num_examples == 4


def test_an_evaluation_is_not_replaced_unasked(model, tmp_path):
    write_images(tmp_path / "data", 2, classes=("red", "green"))
    options = {"checkpoint": str(model), "dataset": str(tmp_path / "data")}
    evaluate(tmp_path, **options)
    with pytest.raises(InputError, match="holds an evaluation already"):
        evaluate(tmp_path, **options)
    evaluate(tmp_path, **options, overwrite=True)


def test_the_stored_temperature_is_told_and_never_applied(configure, tmp_path):
    """It is in the saved configuration; `pipeline` and `predictions.parquet` are without it."""
    # Two classes that look alike, so that some answers are wrong.
    folder = write_images(tmp_path / "data" / "train", 60, classes=("ape", "bee")).parent
    write_images(folder / "test", 6, classes=("ape", "bee"), seed=5)
    result = run_training(configure(dataset=str(folder), learning_rate=0.3, num_train_epochs=20))
    temperature = result.metrics.test.temperature
    assert temperature is not None and abs(temperature - 1) > 0.01
    assert AutoConfig.from_pretrained(result.model_dir).calibration_temperature == temperature
    first = sorted((folder / "test").rglob("*.png"))[0]
    scores = {
        item["label"]: item["score"] for item in pipeline("image-classification", str(result.model_dir))(str(first))
    }
    row = pq.read_table(result.folder.predictions).to_pydict()["probabilities"][0]
    assert row == pytest.approx([scores[name] for name in ("ape", "bee")], abs=1e-5)


def test_a_temperature_is_fitted_on_a_published_validation_split_alone(model, tmp_path):
    for name, count in (("train", 6), ("test", 5)):
        write_images(tmp_path / "held-out" / name, count)
    write_images(tmp_path / "published" / "train", 6)
    write_images(tmp_path / "published" / "validation", 12, seed=4)
    write_images(tmp_path / "published" / "test", 5)
    for folder in ("held-out", "published"):
        (tmp_path / folder / "train" / "blue").rename(tmp_path / folder / "train" / "dark blue")
        (tmp_path / folder / "test" / "blue").rename(tmp_path / folder / "test" / "dark blue")
    (tmp_path / "published" / "validation" / "blue").rename(tmp_path / "published" / "validation" / "dark blue")
    without = evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "held-out"))
    assert without.metrics.test.ece_calibrated is None, "the model may have been trained on what is held out"
    found = evaluate(tmp_path, checkpoint=str(model), dataset=str(tmp_path / "published"), overwrite=True)
    assert "36 images" in found.metrics.temperature_origin


def test_examples_are_what_pipeline_says_of_the_files(model, tmp_path):
    folder = write_photographs(tmp_path / "photos")
    result = evaluate(tmp_path, checkpoint=str(model), dataset=str(folder))
    rows = json.loads((result.folder.examples / "examples.json").read_text())
    answer = pipeline("image-classification", model=str(model))
    assert len(rows) == 3
    for row in rows:
        expected = {item["label"]: item["score"] for item in answer(str(result.folder.examples / row["file"]))}
        assert {item["label"]: item["score"] for item in row["output"]} == pytest.approx(expected, abs=1e-5)
        assert max(Image.open(result.folder.examples / row["file"]).size) <= 512


class TestImagesThatTheModelWasTrainedOn:
    """A dataset without splits: the run trained on 43 of its 60 images, and held out 5 and 12."""

    @pytest.fixture(scope="class")
    def photos(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("photos") / "photos"
        return write_images(folder, 20, seed=5)

    @pytest.fixture(scope="class")
    def trained(self, photos, tiny_model, tmp_path_factory):
        options = {"dataset": str(photos), "model": str(tiny_model), "num_train_epochs": 1, "seed": 1}
        folder = tmp_path_factory.mktemp("run-of-photos") / "run"
        return run_training(request_for("probe", {**options, "output_dir": str(folder)}))

    def measured(self, trained, tmp_path, **options):
        options = {"checkpoint": str(trained.output_dir), "output_dir": str(tmp_path / "out"), **options}
        return run_evaluation(request_for("evaluate", options)).metrics

    @pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../photos"])
    def test_the_same_folder_is_known_however_it_is_written(self, trained, photos, tmp_path, spelling):
        metrics = self.measured(trained, tmp_path, dataset=spelling.format(photos))
        assert (metrics.split, metrics.test.num_examples) == ("test", 12)
        assert metrics.test.accuracy == trained.metrics.test.accuracy and metrics.dataset.num_trained_on == 0

    @pytest.mark.parametrize("dataset", [True, False])
    def test_validation_is_what_the_run_held_out_whatever_the_seed_says(self, trained, photos, tmp_path, dataset):
        given = {"dataset": str(photos), "seed": 0} if dataset else {}
        metrics = self.measured(trained, tmp_path, split="validation", **given)
        assert metrics.test.accuracy == trained.metrics.validation.accuracy
        assert metrics.test.num_examples == trained.metrics.dataset.num_validation == 5
        assert metrics.dataset.num_trained_on == 0

    def test_a_copy_of_the_folder_is_the_same_data(self, trained, photos, tmp_path):
        shutil.copytree(photos, tmp_path / "copy", copy_function=shutil.copyfile)
        for file in (tmp_path / "copy").rglob("*.png"):
            os.utime(file, (1, 1))
        metrics = self.measured(trained, tmp_path, dataset=str(tmp_path / "copy"))
        assert metrics.test.num_examples == 12 and metrics.dataset.num_trained_on == 0
        assert metrics.split == "test"

    def test_other_data_that_holds_the_same_images_is_measured_without_them(self, trained, photos, tmp_path, capfd):
        shutil.copytree(photos, tmp_path / "copy")
        first = next((tmp_path / "copy").rglob("*.png"))
        first.rename(first.with_name("renamed.png"))
        metrics = self.measured(trained, tmp_path, dataset=str(tmp_path / "copy"))
        assert metrics.test.num_examples == 17 and metrics.dataset.num_left_out == 43
        assert metrics.dataset.splits["test"].kind is SplitKind.UNSEEN
        assert "17 images" in capfd.readouterr().err

    def test_every_image_is_measured_when_asked_for_with_a_warning(self, trained, photos, tmp_path, capfd):
        metrics = self.measured(trained, tmp_path, dataset=str(photos), split="all")
        assert metrics.test.num_examples == 60 and metrics.dataset.num_trained_on == 43
        assert "warning: the model was trained on 43 of them" in capfd.readouterr().err

    def test_nothing_is_left_to_measure(self, trained, photos, tmp_path):
        rows = json.loads((trained.output_dir / "splits.json").read_text())["train"]["rows"]
        files = sorted(photos.rglob("*.png"))
        for row in rows:
            copy = tmp_path / "seen" / files[row].relative_to(photos)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[row], copy)
        with pytest.raises(InputError, match="trained on every image of this dataset"):
            self.measured(trained, tmp_path, dataset=str(tmp_path / "seen"))

    def test_an_edited_list_of_rows_is_refused(self, trained, tmp_path):
        shutil.copytree(trained.output_dir, tmp_path / "run")
        splits = json.loads((tmp_path / "run" / "splits.json").read_text())
        splits["train"], splits["test"] = splits["test"], splits["train"]
        (tmp_path / "run" / "splits.json").write_text(json.dumps(splits))
        request = request_for("evaluate", {"checkpoint": str(tmp_path / "run"), "output_dir": str(tmp_path / "o")})
        with pytest.raises(InputError, match=r"splits\.json was changed after the run began"):
            run_evaluation(request)
