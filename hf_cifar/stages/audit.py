"""`--stage audit`: duplicates, leaks between splits, doubtful labels and damaged files of a dataset."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_cifar.audit.audit import AUDIT_FILE, Audit
from hf_cifar.audit.examined import Examined, examine
from hf_cifar.audit.findings import UNREADABLE_FILE, Catalogue, Doubt, Findings, Group, Pair
from hf_cifar.audit.near_duplicates import near_duplicates, whitened
from hf_cifar.audit.page import PAGE_FILE, write_page
from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.layout import describe_source
from hf_cifar.data.sources import Source, load_source
from hf_cifar.data.splits import limited
from hf_cifar.data.twins import first_twins
from hf_cifar.errors import InputError
from hf_cifar.evaluation.mistakes import doubted_labels
from hf_cifar.models.build import build_model
from hf_cifar.models.processors import fit_processor
from hf_cifar.run.environment import hardware, versions
from hf_cifar.run.origins import SplitKind, SplitOrigin
from hf_cifar.run.request import Request
from hf_cifar.run.stage_folder import AUDIT_FOLDER
from hf_cifar.run.verdicts import doubts_too_many
from hf_cifar.run.wording import describe_weights
from hf_cifar.training.freezing import freeze
from hf_cifar.training.probe.features import FeatureCache, Features
from hf_cifar.training.probe.out_of_fold import out_of_fold_logits
from hf_cifar.utils import processes
from hf_cifar.utils.device import on_device
from hf_cifar.utils.formatting import counted, percent
from hf_cifar.utils.logits import log_probabilities
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class AuditResult:
    """The result of `--stage audit`.

    Attributes:
        output_dir: the folder of the run; what was found is in its folder `audit`.
        audit: the counts.
    """

    output_dir: Path
    audit: Audit

    @property
    def folder(self) -> Path:
        """Return the folder with audit.json, the tables and the page."""
        return self.output_dir / AUDIT_FOLDER

    @property
    def page(self) -> Path:
        """Return the page with the pictures."""
        return self.folder / PAGE_FILE

    @property
    def status(self) -> int:
        """Return the exit status of the command line: what was found is no failure."""
        return 0

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        audit = self.audit
        return {
            "stage": "audit",
            "output_dir": str(self.output_dir),
            "page": str(self.page),
            "dataset": audit.dataset,
            "num_images": {name: facts.num_images for name, facts in audit.splits.items()},
            "num_unreadable": sum(facts.num_unreadable for facts in audit.splits.values()),
            "num_identical_groups": audit.num_groups,
            "num_near_pairs": audit.num_pairs,
            "leaks": {
                f"{crossing.split} in {crossing.other}": {"identical": crossing.num_exact, "near": crossing.num_near}
                for crossing in audit.crossings
            },
            "num_doubtful_labels": sum(facts.num_doubtful for facts in audit.splits.values()),
            "seconds": sum(audit.seconds.values()),
        }

    def lines(self) -> list[str]:
        """Return what was found, for the person who watches."""
        audit = self.audit
        unreadable = sum(facts.num_unreadable for facts in audit.splits.values())
        doubts = ", ".join(f"{facts.num_doubtful:,} of {name}" for name, facts in audit.splits.items())
        right = f"probes that did not see them are right for {percent(audit.probe_accuracy)}"
        lines = [
            f"identical images: {counted(audit.num_groups, 'group')}, {audit.num_contradictions:,} of them under "
            "several labels",
            f"near-duplicates: {counted(audit.num_pairs, 'pair')}"
            f"{'' if audit.complete else ' (the most alike of too many)'}, "
            f"{audit.num_pair_contradictions:,} of them under two labels",
            *(
                f"{item.split} images with a twin in {item.other}: {item.num_exact:,} identical, {item.num_near:,} near"
                for item in audit.crossings
            ),
            f"{audit.weak_doubts or f'labels in doubt: {doubts}'} ({right})",
        ]
        return [*lines, f"unreadable files: {unreadable:,} (named in {UNREADABLE_FILE})"] if unreadable else lines


def run_audit(request: Request) -> AuditResult:
    """Audit a dataset and write what was found to `OUTPUT_DIR/audit`, `audit.json` last.

    Raises:
        InputError: the dataset or the model is not there or does not fit, or the folder is in use.
    """
    config = request.config
    folder = config.folder / AUDIT_FOLDER
    if processes.count() > 1:
        raise InputError("--stage audit runs in a single process: start it without torchrun")
    if folder.exists() and not config.overwrite:
        raise InputError(f"{folder} holds an audit already: --overwrite replaces it, or give --output-dir")
    source = load_source(config.data, for_training=False)
    clock = _Clock()
    cache, model = _features_of(request, source)
    catalogue = Catalogue(_examined(source, config), source.label_names)
    clock.lap("decoding")
    features = {
        name: cache.features(part.images, config.num_workers)
        for name, part in catalogue.examined.items()
        if len(part.images)
    }
    clock.lap("features")
    groups = first_twins(catalogue.pixels)
    pairs, complete = _near(catalogue, features, groups, config)
    clock.lap("near_duplicates")
    doubts, num_doubted, accuracy = _doubts(catalogue, features, groups, config)
    clock.lap("labels")
    findings = Findings(catalogue, _groups(groups), pairs, doubts)
    contradictions = findings.contradictions()
    audit = Audit(
        dataset=source.name,
        kind=source.kind,
        revision=source.revision,
        model=model,
        seed=config.seed,
        splits={name: findings.facts(name) for name in catalogue.examined},
        crossings=findings.crossings(),
        num_groups=len(findings.groups),
        num_contradictions=contradictions[0],
        near_cosine=config.audit.near_cosine,
        near_hash=config.audit.near_hash,
        num_pairs=len(pairs),
        num_pair_contradictions=contradictions[1],
        complete=complete,
        folds=config.audit.folds,
        probe_accuracy=accuracy,
        num_doubted=num_doubted,
        seconds=clock.seconds,
        hardware=hardware(cache.model.device),
        versions=versions(),
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    findings.write(folder)
    result = AuditResult(config.folder, audit)
    write_page(result.page, audit, findings)
    audit.write(folder / AUDIT_FILE)
    for line in [*result.lines(), f"pictures: {result.page}"]:
        say(line)
    return result


class _Clock:
    """Times the parts of an audit."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Record the time since the last part ended."""
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def _features_of(request: Request, source: Source) -> tuple[FeatureCache, str]:
    """Return the cache of the features of the model that was asked for, and its name in words."""
    config = request.config
    assert request.model is not None
    built = build_model(request.model, request.weights, config.model.image_size, source.label_names, config.seed)
    if built.probe_fault is not None:
        raise InputError(f"{built.probe_fault}: its features cannot be compared; give another --model")
    words = describe_weights(built.origin)
    say(f"features: {words}")
    freeze(built.model)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    on_device(built.model, torch.device("cpu") if config.use_cpu or accelerator is None else accelerator)
    processor = fit_processor(built.processor, config.model.image_size, None)
    options = config.probe
    return FeatureCache(built.model, processor, options.feature_cache, backend=options.feature_backend), words


def _examined(source: Source, config: RunConfig) -> dict[str, Examined]:
    """Decode the splits as they are published, or subsets of them where that was asked for."""
    examined = {}
    for name, images in source.splits.items():
        limit = config.data.max_train_samples if name == "train" else config.data.max_eval_samples
        chosen, _ = limited(images, SplitOrigin(SplitKind.PUBLISHED, name), limit, config.split_seed)
        examined[name] = examine(chosen)
    if not any(len(part.images) for part in examined.values()):
        raise InputError(f"no image of {source.name} can be read")
    sizes = ", ".join(f"{name} {len(part.images):,}" for name, part in examined.items())
    say(f"data: {describe_source(source)}; {sizes}")
    return examined


def _groups(first: np.ndarray) -> list[Group]:
    """Return the groups of identical images, the largest first."""
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(first[order]) > 0])
    groups = [Group(members.tolist()) for members in np.split(order, starts[1:]) if len(members) > 1]
    return sorted(groups, key=lambda group: -len(group.members))


def _near(
    catalogue: Catalogue, features: dict[str, Features], groups: np.ndarray, config: RunConfig
) -> tuple[list[Pair], bool]:
    """Return the near-duplicates among different pictures, and whether they are all."""
    different = np.unique(groups)
    directions = whitened(lambda part: _rows(catalogue, features, different[part]), len(different))
    found = near_duplicates(directions, catalogue.looks[different], config.audit.near_cosine, config.audit.near_hash)
    columns = different[found.first], different[found.second], found.cosines, found.bits
    pairs = [Pair(int(a), int(b), float(cosine), int(bits)) for a, b, cosine, bits in zip(*columns, strict=True)]
    return pairs, found.complete


def _rows(catalogue: Catalogue, features: dict[str, Features], positions: np.ndarray) -> np.ndarray:
    """Return the features of images at some positions of the catalogue, ascending."""
    parts, start = [], 0
    for name, part in catalogue.examined.items():
        mine = positions[(positions >= start) & (positions < start + len(part.images))] - start
        if len(mine):
            parts.append(features[name][mine])
        start += len(part.images)
    return np.concatenate(parts)


def _doubts(
    catalogue: Catalogue, features: dict[str, Features], groups: np.ndarray, config: RunConfig
) -> tuple[list[Doubt], int, float]:
    """Return the labels in doubt by probes that did not see them; how many they contradict; how often they are right.

    Probes that contradict too many labels doubt none: they are more likely wrong than so many labels.
    """
    names, labels = catalogue.label_names, catalogue.labels
    everything = _rows(catalogue, features, np.arange(len(labels)))
    logits = out_of_fold_logits(everything, labels, groups, len(names), config.audit.folds, config.seed)
    probabilities = np.exp(log_probabilities(logits))
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    positions, suggestions = doubted_labels(logits, labels)
    if doubts_too_many(len(positions), len(labels)):
        return [], len(positions), accuracy
    doubts = []
    for position, suggested in zip(positions, suggestions, strict=True):
        own, other = probabilities[position, labels[position]], probabilities[position, suggested]
        doubts.append(Doubt(int(position), float(own), names[suggested], float(other)))
    return doubts, len(doubts), accuracy
