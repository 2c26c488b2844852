"""What a request means: layers, recipes, places, and options that do nothing."""

import json
from pathlib import Path

import pytest

from hf_cifar.cli import parse
from hf_cifar.config.run_config import flags, nested, stages_of
from hf_cifar.errors import InputError
from hf_cifar.experiment import Experiment
from hf_cifar.run.origins import StartKind
from hf_cifar.run.resolve import request_for, resolve


def saved_model(folder: Path, **config) -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


class TestRecipe:
    @pytest.mark.parametrize(
        ("config", "recipe"),
        [
            ({"model_type": "vit"}, "vit"),
            ({"model_type": "resnet"}, "resnet"),
            ({"model_type": "regnet"}, "resnet"),
            ({"model_type": "mobilevit"}, "vit"),
            ({"architecture": "vit_tiny_patch16_224.augreg"}, "vit"),
            ({"model_type": "timm_wrapper", "architecture": "resnet18.a1_in1k"}, "resnet"),
            ({"architecture": "convnextv2_tiny.fcmae"}, "vit"),
        ],
    )
    def test_it_follows_the_config_of_the_model_and_not_its_name(self, tmp_path, config, recipe):
        for name in ("resnet-or-vit", "dinosaur"):
            model = saved_model(tmp_path / name, **config)
            assert request_for("finetune", {"model": model}).config.recipe == recipe

    @pytest.mark.parametrize("name", ["user/dinosaur-resnet50", "user/retrieval-resnet18", "user/swinging-resnet"])
    def test_a_hub_id_is_known_by_its_cached_config(self, tmp_path, monkeypatch, name):
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        saved_model(repository / "snapshots" / "abc", model_type="resnet")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
        assert request_for("probe", {"model": name}).config.recipe == "resnet"

    def test_it_follows_what_fine_tuning_starts_from(self, tmp_path):
        model = saved_model(tmp_path / "a", model_type="vit")
        request = request_for("finetune", {"from_": model})
        config = request.config
        assert (config.recipe, config.model.model, config.model.weights) == ("vit", model, None)
        assert config.finetune.training["optim"] == "adamw_torch" and request.start is StartKind.CHECKPOINT
        assert request.model is not None and request.model.name == model

    def test_a_named_recipe_wins(self, tmp_path):
        model = saved_model(tmp_path / "a", model_type="vit")
        assert request_for("finetune", {"model": model, "recipe": "classic"}).config.recipe == "classic"


class TestLayers:
    def test_the_command_line_wins_over_the_file_and_the_file_over_the_recipe(self, tmp_path):
        file = tmp_path / "a.yaml"
        file.write_text("recipe: demo\nseed: 1\nprobe: {training: {num_train_epochs: 7}}\n")
        config = parse(["--config", str(file), "--seed", "2"]).config
        assert config.seed == 2 and config.data.dataset == "digits" and config.output_dir == "runs/demo"
        assert config.probe.training["num_train_epochs"] == 7
        assert config.probe.training["train_batch_size"] == 64, "from demo"
        assert config.probe.training["optim"] == "sgd", "from resnet, which demo extends"

    @pytest.mark.parametrize("where", ["training", "probe"])
    def test_a_batch_size_on_the_command_line_beats_the_other_spelling_in_a_file(self, tmp_path, where):
        file = tmp_path / "a.yaml"
        arguments = "training: {per_device_train_batch_size: 64}"
        file.write_text(f"dataset: x\n{arguments}".replace("dataset: x\n", "data: {dataset: digits}\n"))
        if where == "probe":
            file.write_text(f"data: {{dataset: digits}}\nprobe: {{{arguments}}}")
        config = parse(["--config", str(file), "--train-batch-size", "8"]).config
        assert config.probe.training["train_batch_size"] == 8
        assert "per_device_train_batch_size" not in config.probe.training

    def test_a_grid_on_the_command_line_beats_a_single_rate_in_a_file(self, tmp_path):
        file = tmp_path / "a.yaml"
        file.write_text("data: {dataset: digits}\nprobe: {training: {learning_rate: 0.5}}")
        config = parse(["--config", str(file), "--learning-rates", "0.1,1"]).config
        assert config.probe.learning_rates == [0.1, 1.0] and "learning_rate" not in config.probe.training
        single = parse(["--config", str(file), "--learning-rate", "0.2"]).config
        assert single.probe.training["learning_rate"] == 0.2

    def test_epochs_on_the_command_line_beat_steps_in_a_file(self):
        config = resolve(
            nested({"num_train_epochs": 3, "dataset": "digits"}), {"probe": {"training": {"max_steps": 100}}}
        ).config
        assert config.probe.training["num_train_epochs"] == 3 and "max_steps" not in config.probe.training

    def test_two_options_of_one_call_that_say_the_same_are_refused(self):
        with pytest.raises(InputError, match="--learning-rates and --learning-rate exclude each other"):
            parse(["--dataset", "digits", "--learning-rate", "0.1", "--learning-rates", "0.1,1"])

    def test_from_on_the_command_line_beats_a_model_in_a_file(self, tmp_path):
        other, model = saved_model(tmp_path / "b", model_type="vit"), saved_model(tmp_path / "a", model_type="resnet")
        config = resolve(nested({"stage": "finetune", "from_": other}), {"model": {"model": model}}).config
        assert (config.model.model, config.recipe) == (other, "vit")
        with pytest.raises(InputError, match="--from and --model exclude each other"):
            request_for("finetune", {"from_": other, "model": model})

    def test_from_a_run_brings_its_data_and_its_splits_unless_a_dataset_is_named(self, tmp_path):
        model = saved_model(tmp_path / "runs" / "mine" / "probe" / "model", model_type="resnet")
        data = "{dataset: digits, val_fraction: 0.3, max_train_samples: 50}"
        (tmp_path / "runs" / "mine" / "run.yaml").write_text(f"recipe: resnet\nseed: 7\ndata: {data}\n")
        request = request_for("finetune", {"from_": model, "seed": 1, "max_train_samples": 40})
        config = request.config
        assert (config.data.dataset, config.data.val_fraction, config.data.max_train_samples) == ("digits", 0.3, 40)
        assert (config.seed, config.split_seed, config.output_dir) == (1, 7, "runs/mine-digits")
        assert request.dataset is not None and request.dataset.name == "digits"
        other = request_for("finetune", {"from_": model, "seed": 1, "dataset": str(tmp_path)}).config
        assert (other.data.dataset, other.data.val_fraction, other.split_seed) == (str(tmp_path), 0.1, 1)

    def test_what_is_written_resolves_to_the_same(self, tmp_path):
        model = saved_model(tmp_path / "a", model_type="vit")
        for options in (
            {"from_": model, "stage": "finetune"},
            {"recipe": "demo", "seed": 4, "learning_rates": [1e-5, 1]},
        ):
            config = resolve(nested(options)).config
            assert resolve({}, config.to_dict()).config == config


class TestIdleOptions:
    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (["--stage", "finetune", "--top-k", "3"], "--top-k does nothing with --stage finetune"),
            (["--stage", "export", "--batch-size", "32"], "--batch-size does nothing with --stage export"),
            (["--stage", "probe", "--mixup", "0.2"], "--mixup does nothing with --stage probe"),
            (["--stage", "evaluate", "--unfreeze", "all"], "--unfreeze does nothing with --stage evaluate"),
            (
                ["--stage", "evaluate", "--num-train-epochs", "3"],
                "--num-train-epochs does nothing with --stage evaluate",
            ),
            (["--stage", "predict", "--seed", "3"], "--seed does nothing with --stage predict"),
            (["--stage", "lpft", "--from", "x"], "--from does nothing with --stage lpft"),
            (["--stage", "compare", "--model", "resnet18"], "--model does nothing with --stage compare"),
            (["--stage", "probe", "--augment", "trivial"], "use --features online"),
        ],
    )
    def test_an_option_of_another_stage_is_refused(self, arguments, line):
        with pytest.raises(InputError, match=line):
            parse(arguments)

    def test_every_flag_names_stages_that_exist(self):
        from hf_cifar.config.stages import STAGES

        for name in flags():
            assert stages_of(name) and set(stages_of(name)) <= set(STAGES)

    def test_options_of_an_experiment_hold_where_they_do_something(self, tmp_path):
        model = saved_model(tmp_path / "a", model_type="vit")
        experiment = Experiment(
            mixup=0.2, augment="trivial", random_erasing=0.1, num_train_epochs=2, output_dir=str(tmp_path), model=model
        )
        assert experiment.request("probe").config.augmentation.mixup == 0
        finetune = experiment.request("finetune").config
        assert finetune.augmentation.mixup == 0.2 and finetune.augment("finetune") == "trivial"
        assert experiment.request("probe", features="online").config.augment("probe") == "trivial"
        with pytest.raises(InputError, match="--mixup does nothing"):
            experiment.request("probe", mixup=0.2)
        started = Experiment(from_=model, output_dir=str(tmp_path / "b"))
        assert started.request("finetune").config.finetune.from_ == model
        assert started.request("probe").config.finetune.from_ is None


class TestFolder:
    def test_the_default_is_named_after_model_and_dataset(self):
        assert (
            request_for("probe", {"dataset": "a/b-flowers", "model": "resnet50"}).config.output_dir
            == "runs/resnet50-b-flowers"
        )
        assert request_for("compare", {}).config.output_dir == "runs/compare"

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "a").write_text("")
        with pytest.raises(InputError, match="is a file"):
            request_for("probe", {"dataset": "digits", "output_dir": str(tmp_path / "a")})
