"""Decide what a request means: the one place that the command line, YAML files and Python go through.

Order of precedence: recipe < `run.yaml` of the run that is continued < file < what was given for this call. The model
that a stage starts from is located once, and carried; the recipe follows the `model_type` in its config.json. Light on
purpose: a request is judged before anything heavy is imported.
"""

from typing import Any

from hf_cifar.config.aliases import batch_size_of_stage, with_canonical_names
from hf_cifar.config.fields import TRAINING, flag
from hf_cifar.config.layers import Layer, combined, compute_only, distributed, last_given, text_of
from hf_cifar.config.locate import locate_dataset
from hf_cifar.config.options.probe import ProbeConfig
from hf_cifar.config.recipes import read_recipe
from hf_cifar.config.run_config import RunConfig, flags, nested, stages_of
from hf_cifar.config.stages import STAGES, TRAINED
from hf_cifar.config.training_arguments import COMPUTE_ARGUMENTS, TRAIN_BATCH_SIZE
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.run.output_folder import output_folder
from hf_cifar.run.request import Request
from hf_cifar.run.trained_request import request_of_trained
from hf_cifar.run.training_request import training_request
from hf_cifar.run.training_start import start_of


def resolve(given: Layer, file: Layer | None = None) -> Request:
    """Decide what a request means.

    Args:
        given: nested options of this call: the command line's, or a method's. Each must do something in its stage.
        file: nested options below them, such as those of a YAML file; those of other stages are carried along.

    Raises:
        InputError: an option, choice or value that does not exist or does not fit, or that does nothing in this stage;
            a model or dataset that is not there.
    """
    layers = [dict(file or {}), dict(given)]
    recipe = last_given(layers, "recipe")
    base = read_recipe(text_of("recipe", recipe)) if recipe is not None else {}
    asked = [base, *layers]
    stage = str(last_given(asked, "stage") or RunConfig.stage)
    if stage not in STAGES:
        raise unknown_name("stage", stage, STAGES)
    given = batch_size_of_stage(given, stage)
    layers[-1] = given
    _refuse_idle(given, stage)
    if STAGES[stage]:
        return training_request(layers, stage, base, recipe)
    if stage == "audit":
        return _audit_request(layers)
    return request_of_trained(layers, stage)


def request_for(stage: str, options: dict[str, Any], shared: dict[str, Any] | None = None) -> Request:
    """Resolve flat options, as Python gives them.

    Args:
        stage: that is run.
        options: of this stage; each must do something in it.
        shared: options for every stage; those that do nothing in this one are left out.
    """
    shared, options = with_canonical_names(shared or {}), with_canonical_names(options)
    features = str({**shared, **options}.get("features", ProbeConfig.features))
    return resolve(nested({**options, "stage": stage}), nested(_for_stage(shared, stage, features)))


def _for_stage(options: dict[str, Any], stage: str, features: str) -> dict[str, Any]:
    """Return those of some flat options that do something in a stage; the others are for other stages."""
    known = flags()
    kept = {}
    for name, value in options.items():
        of_training = bool(STAGES[stage]) or name in COMPUTE_ARGUMENTS[stage]
        if name == "batch_size" and STAGES[stage]:
            name = TRAIN_BATCH_SIZE
        if stage in stages_of(name) if name in known else of_training:
            kept[name] = value
    if stage == "probe" and features == "cached":
        kept = {name: value for name, value in kept.items() if name not in ("augment", "random_erasing")}
    return kept


def _audit_request(layers: list[Layer]) -> Request:
    """Resolve an audit, which takes a dataset and a pretrained model."""
    asked = combined([distributed(compute_only(layers[0], "audit"), "audit"), distributed(layers[1], "audit")])
    folder = output_folder(asked, "audit")
    _, model, weights = start_of(asked, "audit", folder, adds=False)
    config = RunConfig.from_dict(asked | {"stage": "audit", "output_dir": str(folder)})
    return Request(config, model=model, weights=weights, dataset=locate_dataset(config.data.dataset))


def _refuse_idle(given: Layer, stage: str) -> None:
    """Refuse options of this call that do nothing in its stage."""
    known = flags()
    sections = {section for section, _ in known.values() if section}
    for key, value in given.items():
        names = list(value) if key in sections and isinstance(value, dict) else [key]
        if key in TRAINED and key not in STAGES[stage] and TRAINING in names:
            raise InputError(f"{flag(f'{key}_{next(iter(value[TRAINING]))}')} does nothing with --stage {stage}")
        for name in names:
            if name in known and stage not in stages_of(name):
                useful = " or ".join(stages_of(name))
                raise InputError(f"{flag(name)} does nothing with --stage {stage}: it is for {useful}")
