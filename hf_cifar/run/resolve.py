"""Decide what a request means: the one place that the command line, YAML files and Python go through.

Order of precedence: recipe < `run.yaml` of the run that is continued < file < what was given for this call. The model
that a stage starts from is located once, and carried; the recipe follows the `model_type` in its config.json. Light on
purpose: a request is judged before anything heavy is imported.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.config.aliases import batch_size_of_stage, with_canonical_names
from hf_cifar.config.conditions import refuse_without_effect
from hf_cifar.config.fields import TRAINING, flag
from hf_cifar.config.layers import Layer, distributed, lay_over, rivals_in
from hf_cifar.config.locate import (
    DEFAULT_WEIGHTS,
    DatasetLocation,
    Location,
    locate_checkpoint,
    locate_dataset,
    locate_model,
    locate_start,
    locate_weights,
    read_model_config,
    saved_model_in,
)
from hf_cifar.config.parts import (
    EXPORTING_STAGES,
    STAGES,
    TRAINING_STAGES,
    DataConfig,
    ModelConfig,
    ProbeConfig,
)
from hf_cifar.config.recipes import read_recipe, read_yaml, recipe_for
from hf_cifar.config.run_config import RunConfig, flags, nested, stages_of
from hf_cifar.config.sizes import AUTO
from hf_cifar.config.training_arguments import COMPUTE_ARGUMENTS, TRAIN_BATCH_SIZE, check_training_arguments
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.run.combinations import refuse_combinations, refuse_ood_combinations
from hf_cifar.run.export_options import asks_for_variants, refuse_idle_measuring, refuse_without_images
from hf_cifar.run.origins import StartKind
from hf_cifar.run.recorded_run import RecordedRun
from hf_cifar.run.stage_folder import RUN_FILE, StageFolder

# What is trained, and the part of the configuration with its training arguments.
TRAINED = ("probe", "finetune")
# Names of folders that say nothing about a model: runs/a/finetune/model is the model of run a.
FOLDERS_OF_A_RUN = (*STAGES, "model")


@dataclass(frozen=True)
class Request:
    """What was asked for, with everything that it names located.

    Attributes:
        config: every option.
        model: the saved model or the architecture that the stage takes; None where it takes none.
        beside: the other models of a stage that takes several.
        weights: of that architecture, where they are not its own.
        start: what a training stage starts from.
        dataset: None where the stage takes no images, or takes the checkpoint's own.
        trained_by: the run that the checkpoint, or what `--from` names, belongs to; None if it is not a run's.
        adds_to_probe: whether the run fine-tunes the probe that its folder holds already.
    """

    config: RunConfig
    model: Location | None = None
    beside: tuple[Location, ...] = ()
    weights: Location | None = None
    start: StartKind | None = None
    dataset: DatasetLocation | None = None
    trained_by: RecordedRun | None = None
    adds_to_probe: bool = False

    @property
    def folder(self) -> Path:
        """Return the folder of the run."""
        return self.config.folder

    @property
    def checkpoint(self) -> Location:
        """Return the trained model that the stage takes.

        Raises:
            ValueError: the stage takes none.
        """
        if self.model is None:
            raise ValueError(f"--stage {self.config.stage} takes no checkpoint")
        return self.model


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
    recipe = _last(layers, "recipe")
    base = read_recipe(_text("recipe", recipe)) if recipe is not None else {}
    asked = [base, *layers]
    stage = str(_last(asked, "stage") or RunConfig.stage)
    if stage not in STAGES:
        raise unknown_name("stage", stage, STAGES)
    given = batch_size_of_stage(given, stage)
    layers[-1] = given
    _refuse_idle(given, stage)
    if STAGES[stage]:
        return _training_request(layers, stage, base, recipe)
    if stage == "audit":
        return _audit_request(layers)
    return _request_of_trained(layers, stage)


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


def adds_to_probe(stage: str, folder: Path, from_: str | None) -> bool:
    """Return whether a run fine-tunes the probe that its folder holds already."""
    return stage == "finetune" and from_ is None and StageFolder(folder / "probe").metrics.is_file()


def _training_request(layers: list[Layer], stage: str, base: Layer, recipe: Any) -> Request:
    layers = [distributed(layer, stage) for layer in layers]
    # A run.yaml holds every option, whichever was given: only this call's must not contradict each other.
    _refuse_rivals(layers[-1])
    asked = _merged([base, *layers])
    from_ = _value(asked, "finetune", "from_")
    start_run = RecordedRun.of(_text("from_", from_)) if from_ is not None else None
    inherited = _data_of_start(start_run, asked)
    asked = _merged([inherited, base, *layers])
    folder = _output_folder(asked, stage)
    adds = adds_to_probe(stage, folder, from_)
    resumes = bool(asked.get("resume", False))
    recorded: Layer = {}
    if (folder / RUN_FILE).is_file() and (resumes or adds):
        recorded = read_yaml(folder / RUN_FILE)
        recorded_stage = recorded.pop("stage", None)
        if resumes and _last([base, *layers], "stage") is None and recorded_stage in TRAINING_STAGES:
            return _training_request([recorded | {"stage": recorded_stage}, *layers], str(recorded_stage), base, recipe)
        if adds and not resumes:
            recorded.pop("finetune", None)
        if adds and (recorded.get("seeds") or asked.get("seeds")):
            raise InputError(
                f"--stage finetune in {folder}, which holds a probe, does not go with --seeds: give another "
                f"--output-dir, and --from {folder} to start from that probe"
            )
        asked = _merged([inherited, base, recorded, *layers])
    kind, model, weights = _start_of(asked, stage, folder, adds)
    recipe = recipe if recipe is not None else recorded.get("recipe")
    if recipe is None:
        recipe = recipe_for(read_model_config(model))
    values = _merged([read_recipe(_text("recipe", recipe)), inherited, recorded, *layers])
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


def _data_of_start(run: RecordedRun | None, asked: Layer) -> Layer:
    """Return the data of the run that `--from` names, split as it split them; nothing where a dataset is named."""
    if run is None or _value(asked, "data", "dataset") is not None:
        return {}
    return {"data": {**run.config.to_dict()["data"], "split_seed": run.config.split_seed}}


def _start_of(asked: Layer, stage: str, folder: Path, adds: bool) -> tuple[StartKind, Location, Location | None]:
    """Locate what a training stage starts from: what --from names, this run's probe, or the pretrained model."""
    from_ = _value(asked, "finetune", "from_")
    if from_ is not None:
        if "probe" in STAGES[stage]:
            raise InputError(
                f"--from does nothing with --stage {stage}, which starts with a probe: use --stage finetune"
            )
        if _value(asked, "model", "weights") is not None:
            raise InputError("--weights with --from: the weights are those of --from; leave one of them out")
        return StartKind.CHECKPOINT, locate_start(_text("from_", from_)), None
    if adds:
        return StartKind.PROBE, locate_start(str(folder / "probe")), None
    name = _value(asked, "model", "model")
    model = locate_model(ModelConfig.model if name is None else _text("model", name))
    named = _value(asked, "model", "weights")
    if named is None and model.kind == "torchvision":
        named = DEFAULT_WEIGHTS
    weights = locate_weights(_text("weights", named)) if named is not None else None
    return StartKind.PRETRAINED, model, weights


def _audit_request(layers: list[Layer]) -> Request:
    """Resolve an audit, which takes a dataset and a pretrained model."""
    asked = _merged([distributed(_compute_only(layers[0], "audit"), "audit"), distributed(layers[1], "audit")])
    folder = _output_folder(asked, "audit")
    _, model, weights = _start_of(asked, "audit", folder, adds=False)
    config = RunConfig.from_dict(asked | {"stage": "audit", "output_dir": str(folder)})
    return Request(config, model=model, weights=weights, dataset=locate_dataset(config.data.dataset))


def _request_of_trained(layers: list[Layer], stage: str) -> Request:
    """Resolve a stage that takes a trained model, or runs, and trains nothing."""
    # What a file says of training is for other stages.
    layers = [distributed(_compute_only(layers[0], stage), stage), distributed(layers[1], stage)]
    asked = _merged(layers)
    checkpoint = asked.get("checkpoint")
    own_folder = asked.get("output_dir")
    run = None
    if stage != "compare" and (checkpoint is not None or own_folder is not None):
        run = RecordedRun.of(_text("checkpoint", checkpoint if checkpoint is not None else own_folder))
    measures = stage == "evaluate" or asks_for_variants(asked)
    if stage in EXPORTING_STAGES:
        refuse_idle_measuring(layers[1], stage, measures)
    if measures and run is not None:
        asked = _merged([_recorded_for_evaluation(run, asked), *layers])
    if stage == "predict" and layers[1].get("output_dir") is not None and checkpoint is not None:
        raise InputError("--output-dir does nothing with --checkpoint: predictions go to --output or --html")
    asked |= {"stage": stage, "output_dir": str(_output_folder(asked, stage))}
    config = RunConfig.from_dict(asked)
    if stage != "compare" and checkpoint is None and own_folder is None and not config.comparison.runs:
        _refuse_missing_default(config)
    if stage in EXPORTING_STAGES and measures and run is None:
        refuse_without_images(config, _value(asked, "data", "dataset"))
    if config.prediction.backend != "torch" and "use_cpu" in layers[1].get("finetune", {}).get(TRAINING, {}):
        raise InputError(
            f"--use-cpu does nothing with --backend {config.prediction.backend}, which computes on the CPU"
        )
    if stage == "compare":
        return Request(config)
    if stage in ("evaluate", "predict"):
        refuse_ood_combinations(config)
    if stage == "demo":
        first, *others = _shown(config)
        return Request(config, model=first, beside=tuple(others), trained_by=run)
    model = None
    if stage in ("evaluate", "predict"):
        model = locate_checkpoint(config.checkpoint if config.checkpoint is not None else str(config.folder))
    dataset = locate_dataset(config.data.dataset) if measures else None
    return Request(config, model=model, dataset=dataset, trained_by=run)


def _refuse_missing_default(config: RunConfig) -> None:
    """Refuse a stage that takes a trained model, where none is named and the run by default has none."""
    if saved_model_in(config.folder) is None:
        on_hub = "" if config.stage in EXPORTING_STAGES else ", or USER/NAME on the Hub"
        raise InputError(
            f"{config.stage} needs a trained model: give --checkpoint with a run, one of its stages, or a saved "
            f"model's folder{on_hub}; the one by default, {config.folder}, is not there"
        )


def _shown(config: RunConfig) -> list[Location]:
    """Locate the models of the demo: those of --runs, or that of --checkpoint, by default of --output-dir."""
    runs = config.comparison.runs
    if runs and config.checkpoint is not None:
        raise InputError("--runs and --checkpoint exclude each other: name every model in --runs")
    models = [locate_checkpoint(name) for name in runs or [config.checkpoint or str(config.folder)]]
    for index, model in enumerate(models):
        if any(model.same_place(other) for other in models[:index]):
            raise InputError(f"--runs {runs[index]}: the same model is named twice")
    return models


def _recorded_for_evaluation(run: RecordedRun, asked: Layer) -> Layer:
    """Return what holds of a run whose model is evaluated: its data unless another is named, and its folder."""
    values = run.config.to_dict()
    named = _value(asked, "data", "dataset")
    same = named is None or locate_dataset(_text("dataset", named)).same_place(locate_dataset(run.config.data.dataset))
    if not same:
        return {}
    return {"output_dir": str(run.folder), "seed": values["seed"], "data": values["data"]}


def _compute_only(layer: Layer, stage: str) -> Layer:
    """Return a file's layer with no more of its training arguments than a stage that trains nothing can use."""
    arguments = layer.get(TRAINING)
    if not isinstance(arguments, dict):
        return layer
    kept = {name: value for name, value in arguments.items() if name in COMPUTE_ARGUMENTS[stage]}
    return {**layer, TRAINING: kept}


def _output_folder(asked: Layer, stage: str) -> Path:
    """Return `--output-dir`, by default runs/MODEL-DATASET."""
    given = asked.get("output_dir")
    if given is not None:
        folder = Path(_text("output_dir", given))
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--output-dir {folder} is a file: give a folder")
        return folder
    if stage == "compare":
        return Path("runs", stage)
    start = _value(asked, "finetune", "from_")
    named = asked.get("checkpoint") or start or _value(asked, "model", "model") or ModelConfig.model
    parts = Path(str(named).partition("@")[0]).expanduser().parts
    model = [part for part in parts if part not in FOLDERS_OF_A_RUN] or parts
    dataset = Path(str(_value(asked, "data", "dataset") or DataConfig.dataset)).name
    return Path("runs", f"{model[-1]}-{dataset}")


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


def _refuse_rivals(layer: Layer) -> None:
    rivals = rivals_in(layer)
    if rivals is None:
        return
    from_, model = _value(layer, "finetune", "from_"), _value(layer, "model", "model")
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


def _merged(layers: list[Layer]) -> Layer:
    result: Layer = {}
    for layer in layers:
        result = lay_over(result, layer)
    return result


def _last(layers: list[Layer], name: str) -> Any:
    """Return the value of a top-level option in the highest layer that gives it."""
    return next((layer[name] for layer in reversed(layers) if layer.get(name) is not None), None)


def _value(layer: Layer, section: str, name: str) -> Any:
    values = layer.get(section)
    return values.get(name) if isinstance(values, dict) else None


def _text(name: str, value: Any) -> str:
    """Return a value that must be text, or a number that stands for it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise InputError(f"{flag(name)} is {value!r}: it must be a name or a path")
    if "\0" in str(value):
        raise InputError(f"{flag(name)} holds a null character: it must be a name or a path")
    return str(value)
