"""The audit of a dataset with known faults, and what is measured without its leaks."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance
from support.images import write_images
from support.pages import Page, assert_accessible, assert_offline

from hf_cifar.audit.audit import Audit
from hf_cifar.errors import InputError
from hf_cifar.experiment import run_stage
from hf_cifar.run.resolve import request_for
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.stages.audit import run_audit
from hf_cifar.stages.evaluate import run_evaluation
from hf_cifar.stages.train import run_training

PLANTED = ("blue/copy.png", "red/0.bmp", "green/0.png")  # test images with a twin in train


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Colours with planted faults.

    Of the 18 + 1 test images one is a byte-for-byte copy of a training image, one the same pixels in another format,
    one a darker copy. One training image is there again under another label, four blue ones are called red, and one
    file is no image.
    """
    folder = tmp_path_factory.mktemp("faulty")
    train, test = write_images(folder / "train", 20, seed=1), write_images(folder / "test", 6, seed=2)
    shutil.copy(train / "blue" / "0.png", test / "blue" / "copy.png")
    Image.open(train / "red" / "0.png").save(test / "red" / "0.bmp")
    (test / "red" / "0.png").unlink()
    ImageEnhance.Brightness(Image.open(train / "green" / "1.png")).enhance(0.9).save(test / "green" / "0.png")
    shutil.copy(train / "blue" / "3.png", train / "red" / "wrong.png")
    for path in (write_images(folder / "aside", 4, seed=9) / "blue").iterdir():
        path.rename(train / "red" / f"blue-{path.name}")
    shutil.rmtree(folder / "aside")
    (train / "green" / "broken.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def audited(faulty, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited")
    options = {"dataset": str(faulty), "model": str(tiny_model), "output_dir": str(folder), "folds": 3}
    return run_audit(request_for("audit", options))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def name(row, prefix=""):
    return "/".join(row[f"{prefix}file"].split("/")[-3:])


def test_what_was_planted_is_found(audited, faulty):
    groups: dict = {}
    for row in rows(audited.folder / "exact_duplicates.csv"):
        groups.setdefault(row["group"], set()).add(name(row))
    assert sorted(groups.values(), key=sorted) == [
        {"test/blue/copy.png", "train/blue/0.png"},
        {"test/red/0.bmp", "train/red/0.png"},
        {"train/blue/3.png", "train/red/wrong.png"},
    ]
    (near,) = rows(audited.folder / "near_duplicates.csv")
    assert {name(near), name(near, "twin_")} == {"test/green/0.png", "train/green/1.png"}
    audit = audited.audit
    assert audit.num_groups == 3 and audit.num_contradictions == 1
    assert [(item.split, item.num_exact, item.num_near) for item in audit.crossings] == [("test", 2, 1)]
    assert audit.splits["train"].num_unreadable == 1 and audit.splits["train"].num_copies == 1
    assert audit.splits["train"].per_class == {"blue": 20, "green": 20, "red": 25}
    assert audit.splits["test"].modes == {"RGB": 19}
    (unreadable,) = rows(audited.folder / "unreadable.csv")
    assert name(unreadable) == "train/green/broken.png" and unreadable["reason"]
    assert audit.num_doubted == sum(facts.num_doubtful for facts in audit.splits.values()) < 17
    doubtful = [name(row) for row in rows(audited.folder / "doubtful_labels.csv")]
    assert set(doubtful[:4]) == {f"train/red/blue-{number}.png" for number in range(4)}


def test_the_record_comes_back_as_it_was(audited):
    assert Audit.read(audited.folder / "audit.json") == audited.audit
    assert json.loads((audited.folder / "audit.json").read_text())["schema_version"] == 1


def test_the_page_opens_offline_and_shows_the_pairs(audited):
    page = audited.page.read_text()
    assert "train/red/blue-0.png" in page, "each picture by its file"
    assert_offline(Page(page))
    assert_accessible(Page(page))
    sources = re.findall(r'src="(data:image/png;base64,[^"]+)"', page)
    assert len(sources) >= 6 + 2  # three groups, and a pair
    assert "broken.png" in page


def test_an_audit_is_not_replaced_unasked(audited, faulty, tiny_model):
    options = {"dataset": str(faulty), "model": str(tiny_model), "output_dir": str(audited.output_dir)}
    with pytest.raises(InputError, match="--overwrite replaces it"):
        run_audit(request_for("audit", options))


def test_a_run_measures_without_leaks(audited, faulty, configure, tmp_path, no_pictures, capsys):
    shutil.copytree(audited.folder, tmp_path / "run" / "audit")  # an audit leaves its folder free for a run
    request = configure(dataset=str(faulty), skip_corrupt=True, exclude_leaks=str(tmp_path / "run"))
    result = run_training(request)
    err = capsys.readouterr().err
    assert "1 of 19 test images are copies of training images, byte for byte" in err
    assert "without 3 images that training has twins of (2 identical, 1 near-duplicates)" in err
    assert result.metrics.dataset.num_trained_on <= 1  # the copy's twin may be in validation
    part = result.metrics.without_leaks
    table = pq.read_table(result.folder.predictions).to_pandas()
    files = sorted(path for path in (faulty / "test").rglob("*.*"))
    kept = [not str(files[row]).endswith(PLANTED) for row in table["index"]]
    right = (table["label"] == table["prediction"])[kept]
    assert part.num_examples == 16 and part.accuracy == pytest.approx(right.mean())
    assert result.summary()["num_leaks"] == 3
    again = run_evaluation(
        request_for("evaluate", {"output_dir": str(request.folder), "exclude_leaks": str(audited.folder)})
    )
    assert again.metrics.without_leaks == part


def test_every_seed_is_measured_without_the_same_leaks(audited, faulty, configure, no_pictures):
    options = {"dataset": str(faulty), "skip_corrupt": True, "exclude_leaks": str(audited.output_dir)}
    result = run_stage(configure("finetune", **options, seeds=[0, 1], num_train_epochs=1))
    files = sorted(path for path in (faulty / "test").rglob("*.*"))
    parts = {}
    for seed in (0, 1):
        stage = StageFolder(result.output_dir / f"seed-{seed}" / "finetune")
        parts[seed] = StageMetrics.read(stage.metrics).without_leaks
        table = pq.read_table(stage.predictions).to_pandas()
        kept = [not str(files[row]).endswith(PLANTED) for row in table["index"]]
        right = (table["label"] == table["prediction"])[kept]
        assert parts[seed].num_examples == 16 and parts[seed].accuracy == pytest.approx(right.mean())
    assert result.metrics.without_leaks == parts[result.metrics.seeds.kept]
    assert result.summary()["num_leaks"] == 3


def test_an_audit_of_other_data_is_refused(audited, configure):
    with pytest.raises(InputError, match="the audit is of other data"):
        run_training(configure(exclude_leaks=str(audited.output_dir)))


def test_no_audit_is_refused(configure, tmp_path):
    with pytest.raises(InputError, match="holds no audit"):
        run_training(configure(exclude_leaks=str(tmp_path)))


def test_an_audit_of_a_part_is_refused(faulty, tiny_model, configure, tmp_path):
    options = {"dataset": str(faulty), "model": str(tiny_model), "output_dir": str(tmp_path / "audit"), "folds": 2}
    run_audit(request_for("audit", {**options, "max_train_samples": 20}))
    request = configure(dataset=str(faulty), skip_corrupt=True, exclude_leaks=str(tmp_path / "audit"))
    with pytest.raises(InputError, match="of 66 images of train: audit all of them"):
        run_training(request)


def test_probes_that_contradict_too_many_labels_doubt_none(image_folder, tiny_model, tmp_path, capsys):
    """Every image in a folder of its own choosing: no probe can be right, and most labels are contradicted."""
    classes = ("blue", "green", "red")
    for split in ("train", "test"):
        for name in classes:
            (tmp_path / "data" / split / name).mkdir(parents=True)
        for number, path in enumerate(sorted((image_folder / split).rglob("*.png"))):
            shutil.copy(path, tmp_path / "data" / split / classes[number % 3] / f"{number}.png")
    options = {"dataset": str(tmp_path / "data"), "model": str(tiny_model), "output_dir": str(tmp_path), "folds": 2}
    result = run_audit(request_for("audit", options))
    audit = result.audit
    assert audit.num_doubted > 0.2 * 78 and audit.probe_accuracy < 0.6
    assert rows(result.folder / "doubtful_labels.csv") == []
    assert [facts.num_doubtful for facts in audit.splits.values()] == [0, 0]
    words = f"no label errors are suspected: the probe contradicts {audit.num_doubted} of 78 labels"
    assert words in capsys.readouterr().err and words in result.page.read_text()


def test_options_of_other_stages_are_refused():
    for option in ({"val_fraction": 0.2}, {"skip_corrupt": True}, {"solver": "lbfgs"}):
        with pytest.raises(InputError, match="does nothing with --stage audit"):
            request_for("audit", option)


def test_the_same_pixels_have_the_same_hash_however_they_are_encoded(audited):
    from hf_cifar.audit.examined import _one

    class Anywhere:
        folders = None

    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    found = []
    for options in ({"format": "PNG"}, {"format": "PNG", "compress_level": 0}, {"format": "BMP"}):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, **options)
        found.append(_one({"bytes": file.getvalue(), "path": None}, Anywhere))
    assert len({one.pixels for one in found}) == 1 and found[0].size == (7, 9)
