"""The configuration: keys, types, choices, ranges, recipes, and the files that hold it."""

import pytest
import yaml

from hf_cifar.config.recipes import RECIPES, read_recipe, read_yaml, recipe_for, recipe_names, to_yaml
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.run.resolve import request_for


def test_every_recipe_builds_and_every_value_has_a_reason():
    for name in recipe_names():
        request = request_for("lpft", {"recipe": name, "dataset": "digits"})
        assert request.config.recipe == name
        text = (RECIPES / f"{name}.yaml").read_text()
        assert text.startswith("# The ") and "Run: python scripts/run.py" in text
        assert read_recipe(name)["probe"]["training"]


def test_a_network_without_a_config_gets_the_recipe_of_the_resnets():
    assert recipe_for(None) == recipe_for({}) == recipe_for({"model_type": "no-such-thing"}) == "resnet"


def test_the_stage_of_a_recipe_is_the_default_and_training_goes_to_it():
    from hf_cifar.config.run_config import nested
    from hf_cifar.run.resolve import resolve

    config = resolve(nested({"recipe": "demo", "num_train_epochs": 3})).config
    assert config.stage == "lpft" and config.stages == ("probe", "finetune")
    assert config.finetune.training["num_train_epochs"] == 3 and config.probe.training["num_train_epochs"] == 60
    probe = request_for("probe", {"recipe": "demo", "num_train_epochs": 3}).config
    assert probe.probe.training["num_train_epochs"] == 3


def test_a_written_configuration_is_read_again(tmp_path):
    options = {"recipe": "demo", "seed": 4, "learning_rates": [1e-5, 1], "max_train_samples": 9}
    config = request_for("lpft", options).config
    (tmp_path / "run.yaml").write_text(to_yaml({**config.to_dict(), "provenance": {"versions": {}}}))
    assert RunConfig.read(tmp_path / "run.yaml") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "unknown configuration key 'sed': did you mean 'seed'"),
        ({"data": {"datset": "x"}}, r"unknown configuration key 'data.datset': did you mean 'data.dataset'"),
        ({"seed": "x"}, "seed is 'x': it must be of type int"),
        ({"seed": True}, "seed is True: it must be of type int"),
        ({"seed": None}, "seed is None: it must be of type int"),
        ({"data": 3}, "data must hold keys and values"),
        ({"data": None}, "data must hold keys and values"),
        ({"probe": {"solver": "lbgfs"}}, "unknown probe.solver 'lbgfs': did you mean 'lbfgs'"),
        ({"probe": {"learning_rates": []}}, "--learning-rates"),
        ({"probe": {"learning_rates": [0.1, float("nan")]}}, "--learning-rates is nan: it must be above 0"),
        ({"model": {"image_size": 4}}, "--image-size is 4"),
        ({"model": {"image_size": 100_000}}, "--image-size is 100,000: it must be at least 8 and at most 4,096"),
        ({"data": {"max_train_samples": 0}}, "--max-train-samples is 0"),
        ({"data": {"val_fraction": 1.0}}, "--val-fraction is 1.0: it must be above 0 and below 1, such as 0.1"),
        ({"augmentation": {"mixup": float("inf")}}, "mixup is inf"),
        ({"momentum": 1.0}, "--momentum is 1.0: it must be at least 0 and below 1"),
        ({"seed": 2**64}, "--seed is"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_place(values, message):
    with pytest.raises(InputError, match=message):
        RunConfig.from_dict(values)


def test_numbers_as_yaml_reads_them():
    values = yaml.safe_load("{momentum: 0, probe: {learning_rates: [1e-3, 1]}}")
    config = RunConfig.from_dict(values)
    assert config.probe.learning_rates == [0.001, 1.0] and config.momentum == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "must hold keys and values"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested|not valid YAML"),
        ("a: &a [x]\nb: " + "{c: " * 30 + "1" + "}" * 30, "nested more than 20 deep"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_yaml(tmp_path / "a.yaml")
