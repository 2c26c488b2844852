"""A run folder belongs to one run: what it is continued with must be what it began with."""

import shutil

import pytest
import yaml

from hf_cifar.errors import InputError
from hf_cifar.run.lock import locked
from hf_cifar.stages.train import run_training

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def begun(configure, image_folder, tmp_path):
    """A finished probe of a copy of the images, and what asks for it again."""
    images = shutil.copytree(image_folder, tmp_path / "images")
    options = {"dataset": str(images), "num_train_epochs": 1}
    result = run_training(configure(**options))
    return result.output_dir, images, options


def test_the_same_run_is_continued_however_its_folder_is_written_and_its_images_are_loaded(begun, configure):
    folder, images, options = begun
    (folder / "probe" / "metrics.json").unlink()
    spelled = {**options, "dataset": f"{images.parent}/./images/", "output_dir": f"{folder}/"}
    spelled["dataloader_num_workers"] = 0
    assert run_training(configure(**spelled, resume=True)).metrics.test.num_examples == 18


def test_swapped_class_folders_are_other_data(begun, configure):
    folder, images, options = begun
    (folder / "probe" / "metrics.json").unlink()
    for old, new in (("red", "x"), ("green", "red"), ("x", "green")):
        (images / "train" / old).rename(images / "train" / new)
    with pytest.raises(InputError, match=r"was started on other data: the images of train changed"):
        run_training(configure(**options, resume=True))


def test_deleted_images_are_other_data_for_fine_tuning_too(begun, configure):
    _, images, options = begun
    next((images / "test" / "red").glob("*.png")).unlink()
    with pytest.raises(InputError, match="the images of test changed"):
        run_training(configure(stage="finetune", **options))


@pytest.mark.parametrize("file", ["run.yaml", "splits.json"])
def test_an_edited_or_missing_description_is_refused(begun, configure, file):
    folder, _, options = begun
    content = (folder / file).read_text()
    if file == "run.yaml":
        values = yaml.safe_load(content)
        values["momentum"] = 0.5
        (folder / file).write_text(yaml.safe_dump(values))
        with pytest.raises(InputError, match=r"run\.yaml was edited after the run began"):
            run_training(configure(**options, resume=True))
    else:
        (folder / file).write_text(content.replace("0", "1", 1))
        with pytest.raises(InputError, match=r"splits\.json was changed after the run began"):
            run_training(configure(**options, resume=True))
    (folder / file).unlink()
    with pytest.raises(InputError, match=r"run\.yaml, which says|splits\.json is missing"):
        run_training(configure(**options, resume=True))


def test_another_seed_is_another_run(begun, configure):
    *_, options = begun
    with pytest.raises(InputError, match="has seed 0, not 1"):
        run_training(configure(**options, resume=True, seed=1))


def test_other_versions_only_warn(begun, configure, capfd):
    folder, _, options = begun
    values = yaml.safe_load((folder / "run.yaml").read_text())
    values["provenance"]["versions"]["torch"] = "1.0"
    (folder / "run.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    run_training(configure(**options, resume=True))
    assert "warning: the run in" in capfd.readouterr().err


def test_a_folder_in_use_by_another_process_is_refused(configure, tmp_path):
    with locked(tmp_path / "run"), pytest.raises(InputError, match="is in use by process"):
        run_training(configure(num_train_epochs=1, overwrite=True))


def test_what_a_killed_writer_left_is_swept(begun, configure):
    folder, _, options = begun
    (folder / ".run.yaml.abcd1234").write_text("half")
    (folder / "probe" / ".model.abcd1234").mkdir()
    run_training(configure(**options, overwrite=True))
    assert not [path for path in folder.rglob(".*.abcd1234")]
