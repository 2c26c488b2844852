"""Layers, recipes and checks of the configuration."""

import pytest
import yaml

from hf_cifar.config.recipes import read_recipe, read_yaml, recipe_names, to_yaml
from hf_cifar.config.run_config import RunConfig, nested
from hf_cifar.errors import InputError


def test_later_layers_win_over_earlier_ones_and_all_over_the_recipe():
    config = RunConfig.build(
        {"recipe": "demo", "seed": 1, "probe": {"training": {"num_train_epochs": 7}}}, nested({"seed": 2})
    )
    assert config.seed == 2 and config.data.dataset == "digits" and config.output_dir == "runs/demo"
    assert config.probe.training["num_train_epochs"] == 7
    assert config.probe.training["train_batch_size"] == 64, "from demo"
    assert config.probe.training["optim"] == "sgd", "from resnet, which demo extends"


def test_every_recipe_builds_and_every_value_has_a_reason():
    from hf_cifar.config.recipes import RECIPES

    for name in recipe_names():
        assert RunConfig.from_recipe(name).recipe == name
        text = (RECIPES / f"{name}.yaml").read_text()
        training = read_recipe(name)["probe"]["training"]
        assert text.startswith("# The ") and "Run: python scripts/run.py" in text
        assert training


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("resnet18", "resnet"),
        ("resnet18-mini", "resnet"),
        ("microsoft/resnet-50", "resnet"),
        ("google/vit-base-patch16-224-in21k", "vit"),
        ("facebook/dinov2-small", "vit"),
    ],
)
def test_the_recipe_follows_the_model(model, recipe):
    assert RunConfig.build(nested({"model": model})).recipe == recipe
    assert RunConfig.build(nested({"model": model, "recipe": "classic"})).recipe == "classic"


def test_a_folder_is_known_by_its_config_and_not_by_its_name(tmp_path):
    for kind, recipe in (("vit", "vit"), ("resnet", "resnet")):
        folder = tmp_path / f"my-{kind}" / "resnet-or-vit"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(f'{{"model_type": "{kind}"}}')
        assert RunConfig.build(nested({"model": str(folder)})).recipe == recipe


def test_the_stage_of_a_recipe_is_the_default_and_training_goes_to_it():
    config = RunConfig.from_recipe("demo", num_train_epochs=3)
    assert config.stage == "lpft" and config.stages == ("probe", "finetune")
    assert config.finetune.training["num_train_epochs"] == 3 and config.probe.training["num_train_epochs"] == 60
    probe = RunConfig.from_recipe("demo", stage="probe", num_train_epochs=3)
    assert probe.probe.training["num_train_epochs"] == 3


def test_written_configuration_builds_the_same_run(tmp_path):
    config = RunConfig.from_recipe("demo", seed=4, learning_rates=[1e-5, 1], max_train_samples=9)
    (tmp_path / "run.yaml").write_text(to_yaml({**config.to_dict(), "provenance": {"versions": {}}}))
    assert RunConfig.build(read_yaml(tmp_path / "run.yaml")) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "unknown configuration key 'sed': did you mean 'seed'"),
        ({"data": {"datset": "x"}}, r"unknown configuration key 'data.datset': did you mean 'data.dataset'"),
        ({"seed": "x"}, "seed is 'x': it must be of type int"),
        ({"seed": True}, "seed is True: it must be of type int"),
        ({"data": 3}, "data must hold keys and values"),
        ({"probe": {"solver": "lbgfs"}}, "unknown probe.solver 'lbgfs': did you mean 'lbfgs'"),
        ({"probe": {"learning_rates": []}}, "--learning-rates"),
        ({"model": {"image_size": 4}}, "--image-size is 4"),
        ({"data": {"max_train_samples": 0}}, "--max-train-samples is 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_place(values, message):
    with pytest.raises(InputError, match=message):
        RunConfig.build(values)


def test_numbers_as_yaml_reads_them():
    values = yaml.safe_load("{momentum: 0, probe: {learning_rates: [1e-3, 1]}}")
    config = RunConfig.build(values)
    assert config.probe.learning_rates == [0.001, 1.0] and config.momentum == 0.0


def test_files_that_are_no_configuration(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not valid YAML"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("- 1")
    with pytest.raises(InputError, match="must hold keys and values"):
        read_yaml(tmp_path / "b.yaml")


def test_default_folder_is_named_after_model_and_dataset():
    config = RunConfig.from_recipe("resnet", dataset="a/b/flowers")
    assert config.output_dir == "runs/resnet18-flowers"
