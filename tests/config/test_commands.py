"""The command line as people type it, against the same request by --stage."""

import json

import pytest

from hf_cifar.cli import main, parse
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "runs/a/probe/model", "more"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/a/probe/model/config.json").write_text(json.dumps({"model_type": "resnet"}))
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train photos", "--stage lpft --dataset photos"),
        ("lpft photos", "--stage lpft --dataset photos"),
        ("probe photos --lr 0.1", "--stage probe --dataset photos --learning-rate 0.1"),
        ("finetune --epochs 3 photos", "--stage finetune --num-train-epochs 3 --dataset photos"),
        ("finetune photos --num_epochs=3", "--stage finetune --num-train-epochs 3 --dataset photos"),
        ("finetune --dataset-name photos", "--stage finetune --dataset photos"),
        ("train --probe-lr 0.5 --probe-epochs 2", "--stage lpft --probe-learning-rate 0.5 --probe-num-train-epochs 2"),
        ("finetune --batch-size 32", "--stage finetune --train-batch-size 32"),
        ("finetune --model-name resnet34 --wd 0.1", "--stage finetune --model resnet34 --weight-decay 0.1"),
        ("predict --checkpoint runs/a a.png b.png", "--stage predict --checkpoint runs/a --images a.png b.png"),
        ("predict runs/a a.png -", "--stage predict --checkpoint runs/a --images a.png -"),
        ("predict runs/a photos --batch-size 8", "--stage predict --checkpoint runs/a --images photos --batch-size 8"),
        ("evaluate runs/a more", "--stage evaluate --checkpoint runs/a --dataset more"),
        ("evaluate more --checkpoint runs/a", "--stage evaluate --checkpoint runs/a --dataset more"),
        ("evaluate me/it", "--stage evaluate --checkpoint me/it"),
        ("evaluate me/it digits", "--stage evaluate --checkpoint me/it --dataset digits"),
        ("evaluate me/photos --output-dir runs/a", "--stage evaluate --dataset me/photos --output-dir runs/a"),
        ("predict me/it a.png", "--stage predict --checkpoint me/it --images a.png"),
        ("predict a.png --output-dir runs/a", "--stage predict --images a.png --output-dir runs/a"),
        ("compare runs/a runs/b", "--stage compare --runs runs/a runs/b"),
        ("export runs/a", "--stage export --checkpoint runs/a"),
        ("push runs/a --hub-model-id me/it", "--stage push --checkpoint runs/a --hub-model-id me/it"),
    ],
)
def test_a_command_is_a_stage(typed, meant):
    assert parse(typed.split()) == parse(meant.split())


def test_every_stage_is_a_command():
    for stage in STAGES:
        try:
            assert parse([stage]).config.stage == stage
        except InputError as error:
            assert "unknown command" not in str(error)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("trian photos", "unknown command 'trian': did you mean 'train'?"),
        ("train --stage probe", "train and --stage exclude each other"),
        ("train photos more", "unexpected argument 'more': lpft takes one --dataset, here 'photos'"),
        ("train photos --dataset more", "unexpected argument 'photos': --dataset is given already"),
        ("--stage probe photos", "unexpected argument 'photos'"),
        ("finetune --batch-size 8 --train-batch-size 9", "are the same in training: give one of them"),
        ("evaluate --batch-size 8", "--batch-size does nothing with --stage evaluate: it is for predict"),
        ("probe --batch-size many", "argument --batch-size: invalid int value"),
        ("probe --batch-size 0", "--train-batch-size is 0"),
        ("evaluate runs/nope", "--checkpoint runs/nope: no such folder"),
        ("evaluate nope", "--checkpoint nope: no such folder"),
        ("evaluate photos", "evaluate needs a trained model: give --checkpoint with a run"),
        ("evaluate digits", "the one by default, runs/resnet18-digits, is not there"),
        ("predict runs/nope a.png", "--checkpoint runs/nope: no such folder"),
        ("predict photos/*.jpg", "predict needs a trained model"),
        ("predict a.png", "predict needs a trained model"),
        ("demo runs/nope", "--checkpoint runs/nope: no such folder"),
        ("predict runs/a a.png --output-dir x --checkpoint runs/a", "--output-dir does nothing with --checkpoint"),
    ],
)
def test_what_cannot_be_meant_is_refused(typed, message):
    with pytest.raises(InputError) as refusal:
        parse(typed.split())
    assert message in str(refusal.value)


def test_the_version(capsys):
    import hf_cifar

    assert main(["--version"]) == main(["train", "--version"]) == 0
    assert capsys.readouterr().out == f"hf-cifar {hf_cifar.__version__}\n" * 2
