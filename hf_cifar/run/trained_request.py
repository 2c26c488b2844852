"""What a request means that takes a trained model, or runs, and trains nothing."""

from hf_cifar.config.fields import TRAINING
from hf_cifar.config.layers import Layer, combined, compute_only, distributed, text_of, value_in
from hf_cifar.config.locate import Location, locate_checkpoint, locate_dataset, saved_model_in
from hf_cifar.config.run_config import RunConfig
from hf_cifar.config.stages import EXPORTING_STAGES
from hf_cifar.errors import InputError
from hf_cifar.run.combinations import refuse_ood_combinations
from hf_cifar.run.export_options import asks_for_variants, refuse_idle_measuring, refuse_without_images
from hf_cifar.run.output_folder import output_folder
from hf_cifar.run.recorded_run import RecordedRun
from hf_cifar.run.request import Request


def request_of_trained(layers: list[Layer], stage: str) -> Request:
    """Resolve a stage that takes a trained model, or runs, and trains nothing."""
    # What a file says of training is for other stages.
    layers = [distributed(compute_only(layers[0], stage), stage), distributed(layers[1], stage)]
    asked = combined(layers)
    checkpoint = asked.get("checkpoint")
    own_folder = asked.get("output_dir")
    run = None
    if stage != "compare" and (checkpoint is not None or own_folder is not None):
        run = RecordedRun.of(text_of("checkpoint", checkpoint if checkpoint is not None else own_folder))
    measures = stage == "evaluate" or asks_for_variants(asked)
    if stage in EXPORTING_STAGES:
        refuse_idle_measuring(layers[1], stage, measures)
    if measures and run is not None:
        asked = combined([_recorded_for_evaluation(run, asked), *layers])
    if stage == "predict" and layers[1].get("output_dir") is not None and checkpoint is not None:
        raise InputError("--output-dir does nothing with --checkpoint: predictions go to --output or --html")
    asked |= {"stage": stage, "output_dir": str(output_folder(asked, stage))}
    config = RunConfig.from_dict(asked)
    if stage != "compare" and checkpoint is None and own_folder is None and not config.comparison.runs:
        _refuse_missing_default(config)
    if stage in EXPORTING_STAGES and measures and run is None:
        refuse_without_images(config, value_in(asked, "data", "dataset"))
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
    named = value_in(asked, "data", "dataset")
    own = locate_dataset(run.config.data.dataset)
    if named is not None and not locate_dataset(text_of("dataset", named)).same_place(own):
        return {}
    return {"output_dir": str(run.folder), "seed": values["seed"], "data": values["data"]}
