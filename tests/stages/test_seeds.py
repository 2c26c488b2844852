"""A run over several seeds: the table, the model that is kept, and what a kill leaves."""

import json
import shutil
import statistics
from contextlib import ExitStack

import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from hf_cifar.config.locate import locate_checkpoint
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.evaluation import artifacts
from hf_cifar.evaluation.comparison.compared_run import find_runs
from hf_cifar.experiment import run_stage
from hf_cifar.hub.card.card import render_card
from hf_cifar.run.resolve import request_for, resolve
from hf_cifar.run.run_folder import RunFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.stages import seeds as seeds_module
from hf_cifar.stages import train
from hf_cifar.stages.export import find_trained

KILL_IN_THE_SECOND_SEED = """
import os, signal
from hf_cifar.training import checkpoints
mark, marked = checkpoints._mark, []
def killing(folder):
    mark(folder)
    marked.append(folder)
    if len(marked) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints._mark = killing
"""


def state(folder):
    return load_file(folder / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def lpft(tmp_path_factory, image_folder, tiny_model):
    """An lpft run over three seeds with a soup; read it, do not change it."""
    folder = tmp_path_factory.mktemp("seeds")
    request = request_for(
        "lpft",
        {"seeds": [0, 1, 5], "soup": "greedy", "max_eval_samples": 12},
        {
            "dataset": str(image_folder),
            "model": str(tiny_model),
            "output_dir": str(folder / "run"),
            "feature_cache": str(folder / "cache"),
            "num_train_epochs": 2,
            "train_batch_size": 16,
            "val_fraction": 0.3,
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "save_figures", lambda *args: None)
        patch.setattr(train, "augmentation_figure", lambda *args: None)
        return run_stage(request)


def of_seed(lpft, seed, stage="finetune"):
    return StageMetrics.read(lpft.output_dir / f"seed-{seed}" / stage / "metrics.json")


def test_the_table_is_that_of_the_seeds(lpft):
    table = json.loads((lpft.output_dir / "seeds.json").read_text())
    assert list(table["stages"]) == ["probe", "finetune"] and table["split_seed"] == 0
    for stage in ("probe", "finetune"):
        found = table["stages"][stage]
        assert [row["seed"] for row in found["rows"]] == [0, 1, 5]
        values = [of_seed(lpft, seed, stage).test.nll for seed in (0, 1, 5)]
        assert [row["test"]["nll"] for row in found["rows"]] == values
        spread = found["spread"]["nll"]
        assert spread["mean"] == pytest.approx(statistics.fmean(values))
        assert spread["std"] == pytest.approx(statistics.stdev(values))
        expected = stats.t.interval(0.95, 2, spread["mean"], stats.sem(values))
        assert spread["ci95"] == pytest.approx([max(0.0, expected[0]), expected[1]])
    summary = lpft.summary()
    assert summary["stage"] == "lpft" and summary["over_seeds"]["seeds"] == [0, 1, 5]
    assert summary["over_seeds"]["accuracy"] == table["stages"]["finetune"]["spread"]["accuracy"]


def test_seeds_share_their_images_and_nothing_else(lpft):
    splits = [json.loads((lpft.output_dir / f"seed-{seed}" / "splits.json").read_text()) for seed in (0, 1, 5)]
    assert splits[0] == splits[1] == splits[2] == json.loads((lpft.output_dir / "splits.json").read_text())
    # Alone, too, a seed is repeated and continued on them.
    alone = [RunConfig.read(lpft.output_dir / f"seed-{seed}" / "run.yaml") for seed in (0, 1, 5)]
    assert [(config.seed, config.split_seed, config.seeds) for config in alone] == [(0, 0, []), (1, 0, []), (5, 0, [])]
    first, second = (state(lpft.output_dir / f"seed-{seed}" / "finetune") for seed in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert sum(of_seed(lpft, 1, "probe").train.images_through_backbone.values()) == 0, "features are shared"


def test_the_soup_is_at_least_the_best_seed_and_the_model_that_is_measured(lpft, image_folder):
    seeds = lpft.metrics.seeds
    best = max(of_seed(lpft, seed).validation.accuracy for seed in (0, 1, 5))
    assert seeds.keeps_soup and seeds.soup.validation >= best
    assert lpft.metrics.validation.accuracy == pytest.approx(max(best, seeds.soup.validation))
    members = [state(lpft.output_dir / f"seed-{seed}" / "finetune") for seed in seeds.soup.seeds]
    for name, value in state(lpft.folder.path).items():
        mean = torch.stack([member[name].double() for member in members]).mean(dim=0)
        torch.testing.assert_close(value.double(), mean, rtol=1e-6, atol=1e-7)
    # Every BatchNorm's statistics are those of the start, as in each seed.
    statistics_ = [name for name in members[0] if "running" in name]
    assert statistics_ and all(torch.equal(state(lpft.folder.path)[name], members[0][name]) for name in statistics_)


def test_other_stages_take_the_folder_as_any_run(lpft, configure, tmp_path):
    assert locate_checkpoint(str(lpft.output_dir)).name == str(lpft.model_dir)
    again = run_stage(request_for("evaluate", {"checkpoint": str(lpft.output_dir)}, {}))
    assert again.metrics.test.accuracy == lpft.metrics.test.accuracy
    assert again.metrics.test.num_examples == 12
    assert find_trained(request_for("export", {"output_dir": str(lpft.output_dir)})).stage.path == lpft.folder.path
    runs = find_runs([str(lpft.output_dir / "probe"), str(lpft.output_dir / "finetune")])
    assert len(runs) == 2


def test_report_and_card_say_it(lpft):
    report, card = lpft.report.read_text(), render_card(lpft.folder.path)
    for text in (report, card):
        assert "Over 3 seeds on the same images" in text and "standard deviation" in text
    assert "single training run" not in card and "This model averages the weights of" in card


def test_finished_seeds_are_not_run_again(lpft, monkeypatch):
    monkeypatch.setattr(seeds_module, "run_training", None)
    request = resolve({"stage": "lpft", "resume": True, "output_dir": str(lpft.output_dir)})
    assert request.config.seeds == [0, 1, 5]
    again = run_stage(request)
    assert again.summary() == lpft.summary()


def test_other_seeds_are_not_mixed_with_those_before(lpft):
    request = resolve({"resume": True, "output_dir": str(lpft.output_dir), "seeds": [0, 1]})
    with ExitStack() as stack, pytest.raises(InputError, match="has seeds"):
        RunFolder(request, stack)
    request = resolve({"stage": "lpft", "output_dir": str(lpft.output_dir), "seeds": [0, 1]})
    with ExitStack() as stack, pytest.raises(InputError, match="--resume continues the run there"):
        RunFolder(request, stack)


def test_killed_in_the_middle_and_resumed_it_is_the_same_table(command_line, flags, tmp_path):
    line = command_line.without_pictures()
    options = [*flags, "--stage", "finetune", "--seeds", "3,4", "--num-train-epochs", 2]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert line.run(*options, "--output-dir", whole) == 0, line.err
    assert line.run(*options, "--output-dir", killed, before=KILL_IN_THE_SECOND_SEED) == -9
    done = killed / "seed-3" / "finetune" / "metrics.json"
    assert done.is_file() and not (killed / "seeds.json").exists() and not (killed / "finetune" / "model").exists()
    before = done.stat().st_mtime_ns
    assert line.run("--resume", "--output-dir", killed) == 0, line.err
    assert done.stat().st_mtime_ns == before
    assert (killed / "seeds.json").read_text() == (whole / "seeds.json").read_text()
    assert (killed / "finetune/model/model.safetensors").read_bytes() == (
        whole / "finetune/model/model.safetensors"
    ).read_bytes()
    kept = json.loads((whole / "seeds.json").read_text())["stages"]["finetune"]["kept"]
    assert (whole / "finetune/model/model.safetensors").read_bytes() == (
        whole / f"seed-{kept}/finetune/model/model.safetensors"
    ).read_bytes()


def test_the_seed_with_the_best_validation_is_kept():
    class Metrics:
        def __init__(self, accuracy, nll):
            self.validation = type("Split", (), {"accuracy": accuracy, "nll": nll})

    runs = [Metrics(0.5, 0.1), Metrics(0.7, 0.9), Metrics(0.7, 0.8)]
    assert seeds_module._best(runs, "accuracy") == 2 and seeds_module._best(runs, "nll") == 0


@pytest.mark.parametrize(
    ("stage", "options", "words"),
    [
        ("probe", {"seeds": [1]}, "at least two"),
        ("probe", {"seeds": [1, 1]}, "each once"),
        ("probe", {"seeds": [0, 1], "solver": "lbfgs"}, "the same head whatever the seed"),
        ("probe", {"seeds": [0, 1], "data_seed": 3}, "--data-seed with --seeds"),
        ("finetune", {"soup": "greedy"}, "give --seeds"),
        ("probe", {"soup": "greedy"}, "does nothing with --stage probe"),
        ("evaluate", {"seeds": [0, 1]}, "does nothing with --stage evaluate"),
    ],
)
def test_what_makes_no_sense_is_refused(stage, options, words, configure):
    with pytest.raises(InputError, match=words):
        configure(stage, **options)


def test_a_folder_with_a_probe_takes_no_seeds(lpft):
    with pytest.raises(InputError, match="does not go with --seeds"):
        request_for("finetune", {"output_dir": str(lpft.output_dir)})


def test_overwrite_removes_the_seeds_before_but_never_what_it_starts_from(configure, tmp_path, tiny_model):
    old = tmp_path / "run" / "seed-7" / "finetune"
    shutil.copytree(tiny_model, old / "model")
    (tmp_path / "run" / "seed-lings").mkdir()
    request = configure("finetune", seeds=[0, 1], overwrite=True)
    with ExitStack() as stack:
        RunFolder(request, stack).claim()
    assert not old.parent.exists() and (tmp_path / "run" / "seed-lings").exists()
    shutil.copytree(tiny_model, old / "model")
    request = configure("finetune", seeds=[0, 1], overwrite=True, from_=str(old))
    with ExitStack() as stack, pytest.raises(InputError, match="which --from names"):
        RunFolder(request, stack)
