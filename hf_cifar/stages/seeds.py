"""`--seeds`: a training stage once a seed, what they came to together, and the model that validation names.

The splits are the same for every seed: the validation values by which one is chosen are then comparable, the soup is
chosen on images that none of its members was trained on, and the test images are the same. A seed changes the order of
the images, new heads and the augmentation.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import Any

from hf_cifar.config.locate import locate_checkpoint
from hf_cifar.config.options.hub import HubConfig
from hf_cifar.config.run_config import RunConfig
from hf_cifar.evaluation.report.report import write_report
from hf_cifar.evaluation.seeds import describe_seeds, seed_table, summarize_seeds, validation_value
from hf_cifar.models.load import load_checkpoint
from hf_cifar.models.predict import predict_logits
from hf_cifar.models.weights import put_weights
from hf_cifar.run.origins import StartKind
from hf_cifar.run.request import Request
from hf_cifar.run.result import StageResult
from hf_cifar.run.run_folder import RunFolder
from hf_cifar.run.seed_summary import SeedSummary, Soup
from hf_cifar.run.stage_folder import SEEDS_FILE, StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.train_summary import Chosen, FinetuneSummary
from hf_cifar.stages.train import claim, run_training
from hf_cifar.stages.trained_model import TrainedModel, measure_and_save
from hf_cifar.stages.training_data import TrainingData, load_training_data
from hf_cifar.training.finetune.snapshot import Weights
from hf_cifar.training.finetune.soup import GreedySoup, greedy_soup
from hf_cifar.training.selection import GREATER_IS_BETTER, score
from hf_cifar.training.trainer_compat import checkpoint_weights
from hf_cifar.utils import processes
from hf_cifar.utils.files import folder_aside, write_json
from hf_cifar.utils.memory import PeakMemory
from hf_cifar.utils.progress import say

# Of a stage's folder, what the kept copy does without: what only --resume needs, and what is made again.
LEFT_BEHIND = ("checkpoints", "export", "metrics.json", "report.html")

SHOWN = ("accuracy", "balanced_accuracy")  # in the summary


@dataclass(frozen=True)
class SeedsResult(StageResult):
    """The result of a training stage over several seeds: that of the kept model, and what the seeds came to."""

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        seeds = self.metrics.seeds
        assert seeds is not None
        over: dict[str, Any] = {"seeds": seeds.seeds, "kept": seeds.kept}
        if seeds.soup is not None:
            over["soup"] = seeds.soup.seeds
        spread = seeds.to_dict()["spread"]
        return {**super().summary(), "over_seeds": over | {name: spread[name] for name in SHOWN}}


def run_seeds(request: Request) -> SeedsResult:
    """Run the training stages once a seed, keep the best on validation, and return its result.

    Raises:
        InputError, TrainingError, Interrupted: as `run_training`; `resume` continues with the seed that was not done.
    """
    with ExitStack() as stack:
        folder = RunFolder(request, stack)
        result = _finished(request.config, folder) if request.config.resume else None
        return result or _run(request, folder)


def seed_request(request: Request, seed: int) -> Request:
    """Return the request of a single seed, in a folder of its own, on the splits that all seeds share."""
    config = request.config
    single = replace(
        config,
        seed=seed,
        seeds=[],
        overwrite=False,
        output_dir=str(config.folder / f"seed-{seed}"),
        data=replace(config.data, split_seed=config.split_seed),
        finetune=replace(config.finetune, soup="none"),
        hub=HubConfig(),
    )
    return replace(request, config=single)


def _run(request: Request, folder: RunFolder) -> SeedsResult:
    config, data = request.config, load_training_data(request.config)
    folder.refuse_other_data(data.splits.parts())
    claim(folder, data, None)
    results = []
    for number, seed in enumerate(config.seeds, start=1):
        say(f"seed {seed}, {number} of {len(config.seeds)}")
        results.append(run_training(seed_request(request, seed), data))
    best = results[_best([result.metrics for result in results], config.finetune.selection_metric)]
    soup = _soup(request, data, results, best) if config.finetune.soup == "greedy" else None
    kept: dict[str, StageMetrics] = {}
    for stage in config.stages:
        is_last = stage == config.stages[-1]
        seeds = summarize_seeds(
            [_of_stage(result, stage) for result in results],
            config.finetune.selection_metric,
            best.metrics.seed,
            soup[0] if soup and is_last else None,
        )
        if seeds.keeps_soup:
            assert soup is not None
            kept[stage] = _save_soup(request, data, results, best, soup, seeds, folder.stage(stage))
        else:
            source = StageFolder(best.output_dir / stage)
            kept[stage] = replace(_of_stage(best, stage), seeds=seeds)
            _copy(source, folder.stage(stage), kept[stage])
    _write_table(folder, kept)
    return _result(config, folder, kept)


def _result(config: RunConfig, folder: RunFolder, kept: dict[str, StageMetrics]) -> SeedsResult:
    """Say what the seeds came to, and return the result."""
    result: SeedsResult | None = None
    for stage in config.stages:
        result = SeedsResult(stage, folder.path, kept[stage], result)
    assert result is not None and result.metrics.seeds is not None
    say(f"\n{seed_table(result.metrics.seeds).markdown(padded=True)}\n")
    say(describe_seeds(result.metrics.seeds))
    say(f"model: {result.model_dir}; report: {result.report}")
    return result


def _finished(config: RunConfig, folder: RunFolder) -> SeedsResult | None:
    """Return the result of a run whose kept model is there and whole; None where there is something left to do."""
    if not (folder.path / SEEDS_FILE).is_file():
        return None
    kept = {stage: folder.finished(stage) for stage in config.stages}
    whole = {stage: metrics for stage, metrics in kept.items() if metrics is not None and metrics.seeds is not None}
    if len(whole) < len(kept):
        return None
    say(f"the seeds in {folder.path} are finished already")
    return _result(config, folder, whole)


def _write_table(folder: RunFolder, kept: dict[str, StageMetrics]) -> None:
    """Write `seeds.json`, last of all."""
    if not processes.is_main():
        return
    stages = {stage: metrics.seeds.to_dict() for stage, metrics in kept.items() if metrics.seeds is not None}
    write_json(folder.path / SEEDS_FILE, {"split_seed": folder.config.split_seed, "stages": stages})


def _of_stage(result: StageResult, stage: str) -> StageMetrics:
    while result.stage != stage:
        assert result.before is not None
        result = result.before
    return result.metrics


def _best(metrics: Sequence[StageMetrics], metric: str) -> int:
    """Return the index of the best on validation; of equal ones, of the lowest cross-entropy."""
    sign = -1 if GREATER_IS_BETTER[metric] else 1

    def order(index: int) -> tuple[float, float]:
        validation = validation_value(metrics[index], "nll")
        return sign * validation_value(metrics[index], metric), validation

    return min(range(len(metrics)), key=order)


def _copy(source: StageFolder, target: StageFolder, metrics: StageMetrics) -> None:
    """Copy a finished stage, with a report and metrics that know of the other seeds."""
    if processes.is_main():
        with folder_aside(target.path) as aside:
            shutil.copytree(source.path, aside, ignore=shutil.ignore_patterns(*LEFT_BEHIND), dirs_exist_ok=True)
            write_report(StageFolder(aside), metrics)
            metrics.write(StageFolder(aside).metrics)
    processes.wait_for_all()


def _soup(
    request: Request, data: TrainingData, results: Sequence[StageResult], best: StageResult
) -> tuple[Soup, GreedySoup]:
    """Average the weights of the seeds as long as validation does not fall."""
    metric, validation = request.config.finetune.selection_metric, data.splits.validation
    validation.refuse_test("the soup")
    model, processor = load_checkpoint(locate_checkpoint(str(best.model_dir)), use_cpu=request.config.use_cpu)

    def measure(weights: Weights) -> float:
        put_weights(model, weights)
        logits = predict_logits(model, processor, validation, "soup")
        return score(logits, validation.targets).by(metric)

    found = greedy_soup([checkpoint_weights(model, result.model_dir) for result in results], measure, metric)
    return Soup([results[index].metrics.seed for index in found.members], found.value), found


def _save_soup(
    request: Request,
    data: TrainingData,
    results: Sequence[StageResult],
    best: StageResult,
    soup: tuple[Soup, GreedySoup],
    seeds: SeedSummary,
    folder: StageFolder,
) -> StageMetrics:
    """Measure the averaged weights on test, once, and save them as a model of their own."""
    started, splits = time.perf_counter(), data.splits
    model, processor = load_checkpoint(locate_checkpoint(str(best.model_dir)), use_cpu=request.config.use_cpu)
    memory = PeakMemory(model.device)
    put_weights(model, soup[1].weights)
    train, weights = best.metrics.train, best.metrics.weights
    assert isinstance(train, FinetuneSummary) and weights is not None
    measured = ("seconds", "total_parameters", "processes", "peak_memory_mb")
    details = {item.name: getattr(train, item.name) for item in fields(train) if item.name not in measured}
    # A soup takes the training of every seed, whether or not it is in the average.
    trained = [result.metrics.train for result in results]
    details["training_seconds"] = sum(one.training_seconds for one in trained if isinstance(one, FinetuneSummary))
    details["chosen"] = Chosen(metric=seeds.metric, value=soup[0].validation)
    parts = (splits.validation, splits.test)
    logits = [predict_logits(model, processor, part, f"predicting {part.part}") for part in parts]
    seconds = sum(one.seconds for one in trained if one is not None) + time.perf_counter() - started
    if processes.is_main():
        shutil.rmtree(folder.path, ignore_errors=True)
        folder.path.mkdir(parents=True)
    processes.wait_for_all()
    config = seed_request(request, best.metrics.seed).config
    probe = StageFolder(best.output_dir / "probe") if train.start.kind is StartKind.PROBE else None
    made = TrainedModel(model, processor, weights, best.metrics.base_model, logits[0], logits[1], details, probe)
    return measure_and_save("finetune", config, data, made, folder, seconds, memory, seeds)
