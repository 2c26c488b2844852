"""Names that are no options: what they mean, and no suggestion where nothing is near."""

import pytest

from hf_cifar.cli import parse
from hf_cifar.config.aliases import ALIASES, MEANT
from hf_cifar.config.run_config import flags
from hf_cifar.config.training_arguments import TRAIN_BATCH_SIZE
from hf_cifar.errors import InputError, hint
from hf_cifar.run.resolve import request_for


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--patience", "--early-stopping"),
        ("--img-size", "--image-size"),
        ("--device", "--use-cpu"),
        ("--optimizer", "--optim"),
        ("--num-workers", "--dataloader-num-workers"),
        ("--backbone", "--model"),
        ("--data_dir", "--dataset"),
        ("--val-split", "--val-fraction"),
        ("--sovler", "--solver"),
        ("--rates", "--learning-rates"),
        ("--cuopmix", "--cutmix"),
    ],
)
def test_a_name_is_judged_by_its_meaning(typed, meant):
    with pytest.raises(InputError, match=f"unknown option '{typed.replace('_', '-')}': did you mean '{meant}'"):
        parse(["--stage", "finetune", typed, "1"])


@pytest.mark.parametrize(
    ("name", "known"),
    [("zero", ["frog", "ship", "automobile"]), ("--lr", ["--solver", "--seed"]), ("xy", ["xyz-long", "abc"])],
)
def test_nothing_is_suggested_where_nothing_is_near(name, known):
    assert hint(name, known) == ""


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("resnet81", ["resnet34", "resnet18", "resnet50"], "resnet18"),
        ("truck", ["pickup truck", "tractor"], "pickup truck"),
        ("epochs", ["save_steps", "num_train_epochs", "my_own_num_train_epochs"], "num_train_epochs"),
        ("Cat", ["car", "cat"], "cat"),
    ],
)
def test_the_nearest_name(name, known, near):
    assert hint(name, known) == f"did you mean {near!r}? "


def test_aliases_and_meanings_are_options_and_none_hides_one():
    from transformers import TrainingArguments

    known = {*flags(), TRAIN_BATCH_SIZE, *TrainingArguments.__dataclass_fields__}
    assert set(ALIASES.values()) | set(MEANT.values()) <= known
    assert not set(ALIASES) & known
    assert not set(MEANT) & set(flags())


def test_python_takes_the_same_names(tmp_path):
    given = {"lr": 0.5, "epochs": 2, "batch_size": 7, "output_dir": str(tmp_path)}
    for request in (request_for("finetune", given), request_for("finetune", {}, given)):
        training = request.config.finetune.training
        assert (training["learning_rate"], training["num_train_epochs"], training[TRAIN_BATCH_SIZE]) == (0.5, 2, 7)
        assert request.config.prediction.batch_size == 64
    with pytest.raises(InputError, match="lr is given twice"):
        request_for("finetune", {"learning_rate": 0.1, "lr": 0.2})
