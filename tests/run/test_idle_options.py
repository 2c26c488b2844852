"""Every option in every stage: what does nothing there is refused."""

import pytest
from transformers import TrainingArguments

from hf_cifar.config.conditions import CONDITIONS
from hf_cifar.config.fields import flag
from hf_cifar.config.run_config import flags, nested, stages_of
from hf_cifar.config.stages import STAGES
from hf_cifar.errors import InputError
from hf_cifar.run.resolve import request_for, resolve

TRAINING = {"probe", "finetune", "lpft"}
FINETUNING = frozenset({"finetune", "lpft"})
PROBING = frozenset({"probe", "lpft"})
PREDICTION = frozenset({"predict"})
EVERY = TRAINING | {"evaluate", "predict", "compare", "export", "push"}
# Written down by reading what each stage does with an option, and not by what the options say of themselves.
USEFUL = {
    **dict.fromkeys(("stage", "output_dir"), EVERY),
    **dict.fromkeys(("recipe", "momentum", "resume", "image_cache", "selection_metric"), TRAINING),
    **dict.fromkeys(("push_to_hub",), TRAINING),
    **dict.fromkeys(("model", "weights", "image_size", "normalization", "augment", "random_erasing"), TRAINING),
    **dict.fromkeys(("dataset", "dataset_config", "dataset_revision", "image_column"), TRAINING | {"evaluate"}),
    **dict.fromkeys(("label_column", "val_fraction", "max_train_samples"), TRAINING | {"evaluate"}),
    **dict.fromkeys(("max_eval_samples", "skip_corrupt", "seed", "robustness"), TRAINING | {"evaluate"}),
    "split_seed": TRAINING | {"evaluate"},
    "max_accuracy_drop": set(),  # without --formats
    **dict.fromkeys(("mixup", "cutmix", "unfreeze", "unfreeze_every", "bn", "layer_decay"), FINETUNING),
    **dict.fromkeys(("head_lr", "scheduler", "step_size", "gamma", "plateau_patience"), FINETUNING),
    **dict.fromkeys(("early_stopping", "ema", "interpolate"), FINETUNING),
    "gradient_checkpointing": {"finetune", "lpft"},
    "from_": {"finetune"},
    **dict.fromkeys(("features", "solver", "feature_cache", "feature_backend", "feature_dtype"), PROBING),
    **dict.fromkeys(("learning_rates", "strengths"), PROBING),
    "checkpoint": {"evaluate", "predict", "export", "push"},
    "overwrite": TRAINING | {"evaluate", "predict", "compare"},
    "split": {"evaluate"},
    **dict.fromkeys(("images", "output", "html", "top_k"), PREDICTION),
    "batch_size": {"predict"} | TRAINING,  # in training, --train-batch-size
    "runs": {"compare"},
    **dict.fromkeys(("hub_model_id", "license"), TRAINING | {"export", "push"}),
    **dict.fromkeys(("hub_token_file", "revision", "public"), TRAINING | {"push"}),
    "dry_run": TRAINING | {"push"},
}
OF_TRAINER = {"evaluate": {"use_cpu", "dataloader_num_workers"}, "predict": {"use_cpu"}, "compare": {"use_cpu"}}
WITH_PROGRESS = {"audit", "evaluate", "predict", "export", "push"}


def is_refused(stage: str, name: str) -> bool:
    try:
        resolve(nested({"stage": stage, name: "vit" if name == "recipe" else 1}))
    except InputError as error:
        return f"{flag(name)} does nothing with --stage {stage}" in str(error)
    return False


@pytest.mark.parametrize("stage", list(STAGES))
def test_an_option_is_refused_in_the_stages_in_which_it_does_nothing(stage):
    for name in flags():
        useful = stage in USEFUL[name] if name in USEFUL and stage in EVERY else stage in stages_of(name)
        assert is_refused(stage, name) != useful, f"{flag(name)} with --stage {stage}"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage in EVERY - TRAINING])
def test_fields_of_training_arguments_are_refused_where_nothing_is_trained(stage):
    for name in TrainingArguments.__dataclass_fields__:
        if name not in (*flags(), "hub_token"):
            useful = stage in WITH_PROGRESS if name == "disable_tqdm" else name in OF_TRAINER.get(stage, ())
            assert is_refused(stage, name) != useful, name


VALUES = {
    "step_size": 3,
    "gamma": 0.5,
    "plateau_patience": 7,
    "unfreeze_every": 3,
    "feature_dtype": "bfloat16",
    "learning_rates": [0.5],
    "strengths": [0.5],
    "hub_token_file": "token",
    "revision": "branch",
    "public": True,
    "license": "mit",
    "hub_model_id": "me/it",
}
ELSEWHERE = {"scheduler": "linear", "unfreeze": "all", "features": "online", "solver": "lbfgs", "push_to_hub": False}


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_an_option_that_needs_another_is_refused_without_it(name, tmp_path):
    other, values = CONDITIONS[name]
    folder = {"output_dir": str(tmp_path)}
    missing = "trainer" if name == "strengths" else ELSEWHERE[other]
    with pytest.raises(InputError, match=f"{flag(name)} does nothing without {flag(other)}"):
        request_for("lpft", {name: VALUES[name], other: missing}, folder)
    for value in values:
        assert request_for("lpft", {name: VALUES[name], other: value}, folder)
    assert request_for("lpft", {}, {**folder, name: VALUES[name], other: missing}), "options shared by stages may"
