"""What every training stage does with the model that it has trained: measure it, and save it with its results."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_cifar.config.run_config import RunConfig
from hf_cifar.evaluation.against_probe import against_probe
from hf_cifar.evaluation.artifacts import save_artifacts
from hf_cifar.evaluation.calibration import fit_temperature
from hf_cifar.evaluation.compute_metrics import compute_metrics
from hf_cifar.evaluation.robustness import measure_robustness
from hf_cifar.models.calibrate import remember_temperature
from hf_cifar.models.native import save
from hf_cifar.run.environment import hardware, moment, versions
from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.ood_scores import EnergyThreshold, energy
from hf_cifar.run.origins import WeightsOrigin
from hf_cifar.run.prediction_sets import PredictionSets
from hf_cifar.run.seed_summary import SeedSummary
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import DatasetInfo, StageMetrics
from hf_cifar.run.train_summary import FinetuneSummary, ProbeSummary
from hf_cifar.run.wording import describe_weights
from hf_cifar.stages.ood_detection import energy_of_training
from hf_cifar.stages.training_data import TrainingData
from hf_cifar.utils import processes
from hf_cifar.utils.memory import PeakMemory


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its predictions, to be measured and saved.

    Attributes:
        model, processor: what is saved.
        weights, base_model: where it comes from.
        validation_logits, test_logits: float32 [n, labels].
        details: of the summary of its training.
        probe: the folder of the probe that fine-tuning started from.
    """

    model: PreTrainedModel
    processor: Any
    weights: WeightsOrigin
    base_model: str | None
    validation_logits: np.ndarray
    test_logits: np.ndarray
    details: dict[str, Any]
    probe: StageFolder | None = None


def measure_and_save(
    stage: str,
    config: RunConfig,
    data: TrainingData,
    trained: TrainedModel,
    folder: StageFolder,
    seconds: float,
    memory: PeakMemory,
    seeds: SeedSummary | None = None,
) -> StageMetrics:
    """Measure a trained model, save it with everything that a stage leaves, and return its metrics.

    Args:
        stage: probe or finetune.
        config: of the run.
        data: of the run.
        trained: the model with its predictions.
        folder: of the stage.
        seconds: that training took.
        memory: watched since it began.
        seeds: what several seeds came to, where the model was made from them.
    """
    splits = data.splits
    splits.validation.refuse_test("the temperature")
    temperature = fit_temperature(trained.validation_logits, splits.validation.targets)
    remember_temperature(trained.model.config, temperature)
    sets = PredictionSets.calibrate(trained.validation_logits, splits.validation.targets, temperature)
    threshold = EnergyThreshold.calibrate(energy(trained.validation_logits))
    metrics = replace(
        _metrics(stage, config, data, trained, temperature, seconds, memory),
        seeds=seeds,
        prediction_sets=sets.measure(trained.test_logits, splits.test.targets, temperature),
        ood=_ood(stage, config, data, trained, threshold),
    )
    if trained.probe is not None:
        against = against_probe(trained.probe, splits.train.fingerprint, splits.test, trained.test_logits)
        metrics = replace(metrics, against_probe=against)
    if data.leaks is not None:
        seen = [(images.name, images.index.tolist()) for images in (splits.train, splits.validation)]
        metrics = replace(metrics, without_leaks=data.leaks.measure(splits.test, trained.test_logits, seen))
    if processes.is_main():
        save(trained.model, trained.processor, folder.model)
        sets.write(folder.model)
        threshold.write(folder.model)
        folder.seal_model()
        save_artifacts(folder, metrics, trained.test_logits, splits.test, trained.model, trained.processor)
    processes.wait_for_all()
    return metrics


def _ood(
    stage: str, config: RunConfig, data: TrainingData, trained: TrainedModel, threshold: EnergyThreshold
) -> OodMetrics | None:
    if config.evaluation.ood_score is None:
        return None
    return energy_of_training(
        trained.model,
        trained.processor,
        data.splits.test,
        trained.test_logits,
        threshold,
        config.seed,
        getattr(config, stage).training.get("dataloader_num_workers"),
    )


def _metrics(
    stage: str,
    config: RunConfig,
    data: TrainingData,
    trained: TrainedModel,
    temperature: float | None,
    seconds: float,
    memory: PeakMemory,
) -> StageMetrics:
    source, splits = data.source, data.splits
    names, targets = source.label_names, splits.train.targets
    kind = ProbeSummary if stage == "probe" else FinetuneSummary
    train = kind(
        **trained.details,
        seconds=seconds,
        total_parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        processes=processes.count(),
        peak_memory_mb=memory.megabytes,
    )
    workers = getattr(config, stage).training.get("dataloader_num_workers")
    robustness = None
    if config.evaluation.robustness:
        robustness = measure_robustness(trained.model, trained.processor, splits.test, config.seed, workers=workers)
    return StageMetrics(
        stage=stage,
        model=describe_weights(trained.weights),
        weights=trained.weights,
        base_model=trained.base_model,
        seed=config.seed,
        dataset=DatasetInfo(
            id=source.name,
            kind=source.kind,
            revision=source.revision,
            fingerprint=splits.train.fingerprint,
            num_train=len(splits.train),
            num_validation=len(splits.validation),
            num_test=len(splits.test),
            train_per_class={name: int((targets == label).sum()) for label, name in enumerate(names)},
            num_corrupt=splits.num_corrupt,
            splits=splits.origin,
            num_trained_on=data.num_trained_on,
            num_validation_copies=data.copies_of_training("validation"),
            label_column=source.layout.label_column if source.layout is not None else None,
        ),
        test=compute_metrics(trained.test_logits, splits.test.targets, names, temperature),
        validation=compute_metrics(trained.validation_logits, splits.validation.targets, names, temperature),
        train=train,
        robustness=robustness,
        finished=moment(),
        hardware=hardware(trained.model.device),
        versions=versions(),
    )
