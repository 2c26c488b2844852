"""Refuse options that do not go together. Light on purpose: a request is judged before anything heavy is imported."""

from hf_cifar.config.locate import locate_dataset
from hf_cifar.config.options.evaluation import ENERGY, KNN
from hf_cifar.config.run_config import RunConfig
from hf_cifar.errors import InputError


def refuse_combinations(config: RunConfig) -> None:
    """Refuse options of a training stage of which one makes another meaningless.

    Raises:
        InputError: names both, and what to do.
    """
    if config.imbalance.balanced_sampling and "probe" in config.stages and config.probe.solver == "lbfgs":
        raise InputError(
            "--balanced-sampling with --solver lbfgs, which draws no batches: use --class-weights balanced, which has "
            "the same mean"
        )
    if config.hub.dry_run and config.resume:
        raise InputError("--dry-run with --resume: what is left of a run is not measured; leave --resume out")
    if config.evaluation.ood_score == KNN:
        raise InputError(
            "--ood-score knn with a training stage: train first, and measure by --stage evaluate --ood-score knn, "
            "which keeps features of the training images beside the model; or take --ood-score energy"
        )
    if config.seeds:
        _check_seeds(config)
    elif config.finetune.soup != "none":
        raise InputError(f"--soup {config.finetune.soup} averages the weights of several seeds: give --seeds 0,1,2 too")


def refuse_ood_combinations(config: RunConfig) -> None:
    """Refuse other images for a score that is not measured, those that are measured themselves, and missing features.

    Raises:
        InputError: says which, and what to do.
    """
    backend = config.prediction.backend
    if config.evaluation.ood_score == KNN and backend != "torch":
        raise InputError(
            f"--ood-score knn with --backend {backend}, which gives logits and no features: use --backend torch, or "
            "--ood-score energy"
        )
    name = config.evaluation.ood_dataset
    if name is None:
        return
    if config.evaluation.ood_score is None:
        raise InputError(f"--ood-dataset does nothing without --ood-score: add --ood-score {ENERGY}")
    try:
        other = locate_dataset(name)
    except InputError as error:
        raise InputError(str(error).replace("--dataset", "--ood-dataset")) from error
    if other.same_place(locate_dataset(config.data.dataset)):
        raise InputError(f"--ood-dataset {name}: these are the images that are evaluated; give others")


def _check_seeds(config: RunConfig) -> None:
    """Refuse seeds that would tell nothing."""
    if len(set(config.seeds)) < max(2, len(config.seeds)):
        given = ",".join(map(str, config.seeds))
        raise InputError(f"--seeds {given}: give at least two, each once; for a single one use --seed")
    if config.stages == ("probe",) and config.probe.solver == "lbfgs":
        raise InputError(
            "--seeds with --solver lbfgs: on the same images it finds the same head whatever the seed; use --solver "
            "trainer, or single runs with --split-seed"
        )
    for stage in config.stages:
        if "data_seed" in getattr(config, stage).training:
            raise InputError("--data-seed with --seeds: each seed has its own order of the images; leave one out")
