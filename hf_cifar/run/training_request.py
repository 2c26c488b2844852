"""What a request to train means."""

from typing import Any

from hf_cifar.config.conditions import refuse_without_effect
from hf_cifar.config.layers import Layer, combined, distributed, last_given, rivals_in, text_of, value_in
from hf_cifar.config.locate import locate_dataset, locate_model, locate_start, read_model_config
from hf_cifar.config.recipes import read_recipe, read_yaml, recipe_for
from hf_cifar.config.run_config import RunConfig
from hf_cifar.config.sizes import AUTO
from hf_cifar.config.stages import TRAINING_STAGES
from hf_cifar.config.training_arguments import check_training_arguments
from hf_cifar.errors import InputError
from hf_cifar.run.combinations import refuse_combinations
from hf_cifar.run.origins import StartKind
from hf_cifar.run.output_folder import output_folder
from hf_cifar.run.recorded_run import RecordedRun
from hf_cifar.run.request import Request
from hf_cifar.run.stage_folder import RUN_FILE
from hf_cifar.run.training_start import adds_to_probe, data_of_start, start_of


def training_request(layers: list[Layer], stage: str, base: Layer, recipe: Any) -> Request:
    """Resolve a stage that trains.

    Args:
        layers: the options of a file and of this call, lowest first; a `run.yaml` may lie below them.
        stage: that is run.
        base: options of the recipe that was asked for.
        recipe: its name, or None.
    """
    layers = [distributed(layer, stage) for layer in layers]
    # A run.yaml holds every option, whichever was given: only this call's must not contradict each other.
    _refuse_rivals(layers[-1])
    asked = combined([base, *layers])
    from_ = value_in(asked, "finetune", "from_")
    start_run = RecordedRun.of(text_of("from_", from_)) if from_ is not None else None
    inherited = data_of_start(start_run, asked)
    asked = combined([inherited, base, *layers])
    folder = output_folder(asked, stage)
    adds = adds_to_probe(stage, folder, from_)
    resumes = bool(asked.get("resume", False))
    recorded: Layer = {}
    if (folder / RUN_FILE).is_file() and (resumes or adds):
        recorded = read_yaml(folder / RUN_FILE)
        recorded_stage = recorded.pop("stage", None)
        if resumes and last_given([base, *layers], "stage") is None and recorded_stage in TRAINING_STAGES:
            return training_request([recorded | {"stage": recorded_stage}, *layers], str(recorded_stage), base, recipe)
        if adds and not resumes:
            recorded.pop("finetune", None)
        if adds and (recorded.get("seeds") or asked.get("seeds")):
            raise InputError(
                f"--stage finetune in {folder}, which holds a probe, does not go with --seeds: give another "
                f"--output-dir, and --from {folder} to start from that probe"
            )
        asked = combined([inherited, base, recorded, *layers])
    kind, model, weights = start_of(asked, stage, folder, adds)
    recipe = recipe if recipe is not None else recorded.get("recipe")
    if recipe is None:
        recipe = recipe_for(read_model_config(model))
    values = combined([read_recipe(text_of("recipe", recipe)), inherited, recorded, *layers])
    values |= {"stage": stage, "recipe": recipe, "output_dir": str(folder)}
    if kind is StartKind.CHECKPOINT:
        values["model"] = {**values.get("model", {}), "model": model.full_name, "weights": None}
    config = RunConfig.from_dict(values)
    _check_training(config)
    refuse_without_effect(layers[-1], config)
    return Request(
        config,
        model=model,
        weights=weights,
        start=kind,
        dataset=locate_dataset(config.data.dataset),
        trained_by=start_run,
        adds_to_probe=adds,
    )


def _refuse_rivals(layer: Layer) -> None:
    rivals = rivals_in(layer)
    if rivals is None:
        return
    from_, model = value_in(layer, "finetune", "from_"), value_in(layer, "model", "model")
    if rivals == ("--from", "--model") and locate_start(str(from_)).same_place(locate_model(str(model))):
        return  # as a run.yaml has it
    raise InputError(f"{rivals[0]} and {rivals[1]} exclude each other: give one of them")


def _check_training(config: RunConfig) -> None:
    """Refuse values and combinations that cannot do what they say."""
    refuse_combinations(config)
    for stage in config.stages:
        prefix = "probe_" if stage != config.stages[-1] else ""
        check_training_arguments(getattr(config, stage).training, prefix)
    if config.stages == ("probe",) and config.probe.features == "cached" and config.augmentation.requested:
        raise InputError(
            f"{config.augmentation.requested[0]} with --features cached: cached features are computed once, without "
            "augmentation; use --features online"
        )
    if config.stages == ("probe",) and config.probe.features == "cached" and config.data.image_cache != AUTO:
        raise InputError("--image-cache with --features cached: every image is decoded only once anyway; leave it out")
