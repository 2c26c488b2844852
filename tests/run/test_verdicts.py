"""What is said of a result: each verdict where it holds, and silence where it does not."""

from dataclasses import replace

import numpy as np
import pytest
from support.made_run import make_run
from support.made_up_stage import split_metrics_of

from hf_cifar.evaluation.compute_metrics import compute_metrics
from hf_cifar.run.against_probe import AgainstProbe
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.train_summary import Chosen
from hf_cifar.run.verdicts import Verdict, doubts_too_many, findings, standard_error

NAMES = ["ape", "bee", "cat"]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> StageMetrics:
    """A fine-tuning with nothing to be said of it: 2,000 test and 1,000 validation images, 95 % right."""
    run = make_run(tmp_path_factory.mktemp("verdicts") / "run", names=NAMES)
    metrics = StageMetrics.read(StageFolder(run / "finetune").metrics)
    return replace(metrics, test=measured([600, 700, 700], 0.95), validation=measured([300, 300, 400], 0.95))


def measured(counts: list[int], accuracy: float, never: int | None = None):
    """A split with so many images a class, of which a fraction is right; of one class none."""
    labels = np.repeat(np.arange(len(counts)), counts)
    position = np.concatenate([np.arange(count) for count in counts])
    right = position < np.round(accuracy * np.asarray(counts))[labels]
    if never is not None:
        right &= labels != never
    predictions = np.where(right, labels, (labels + 1) % len(counts))
    # No image is claimed by two classes, and mistakes are made without much confidence.
    logits = np.where(right, 4.0, 0.1)[:, None] * np.eye(len(counts))[predictions]
    return compute_metrics(logits, labels, NAMES[: len(counts)])


def verdicts(metrics: StageMetrics) -> list[Verdict]:
    found = findings(metrics)
    assert all("\n" not in finding.text for finding in found)
    assert len({finding.verdict for finding in found}) == len(found)
    return [finding.verdict for finding in found]


def text(metrics: StageMetrics, verdict: Verdict) -> str:
    (line,) = [finding.text for finding in findings(metrics) if finding.verdict is verdict]
    return line


def test_nothing_is_said_of_a_good_result(good):
    assert verdicts(good) == []


def test_below_its_probe_only_beyond_noise(good):
    lost = replace(good, against_probe=AgainstProbe(0.97, -0.02, (-0.03, -0.01)))
    assert verdicts(lost) == [Verdict.BELOW_PROBE]
    assert "-2.00 points (95% interval -3.00 to -1.00, paired)" in text(lost, Verdict.BELOW_PROBE)
    assert verdicts(replace(good, against_probe=AgainstProbe(0.97, -0.02, (-0.05, 0.01)))) == []
    assert verdicts(replace(good, against_probe=AgainstProbe(0.93, 0.02, (0.01, 0.03)))) == []


def test_chance_is_said_where_the_interval_reaches_it_and_the_majority_is_not_said_too(good):
    assert verdicts(replace(good, test=measured([600, 700, 700], 0.34))) == [Verdict.CHANCE]
    assert verdicts(replace(good, test=measured([600, 700, 700], 0.40))) == []


def test_no_better_than_the_majority(good):
    """60 % right of images of which 60 % are of one class: more than chance, and no more than one answer."""
    metrics = replace(good, test=measured([200, 600, 200], 0.60))
    assert verdicts(metrics) == [Verdict.MAJORITY]
    assert 'always answering "bee", which is right for 60.00%' in text(metrics, Verdict.MAJORITY)
    assert verdicts(replace(good, test=measured([200, 600, 200], 0.70))) == []


def test_a_small_test_split_is_said_with_its_standard_error(good):
    metrics = replace(good, test=measured([20, 20, 20], 0.90))
    assert verdicts(metrics) == [Verdict.SMALL_TEST]
    # sqrt(0.9 * 0.1 / 60) = 3.9 points; Wilson's is a little larger.
    assert standard_error(metrics.test) == pytest.approx(np.sqrt(0.9 * 0.1 / 60), abs=0.002)
    assert "only 60 test images: the standard error of the accuracy is 4.0 points" in text(metrics, Verdict.SMALL_TEST)
    perfect = replace(good, test=measured([5, 5, 5], 1.0))
    assert standard_error(perfect.test) > 0.04
    assert verdicts(perfect) == [Verdict.SMALL_TEST]


def test_a_validation_split_too_small_to_choose_by_is_said_with_what_to_do(good):
    train = replace(good.train, chosen=Chosen(learning_rate=0.1, candidates=8, close=7))
    small = replace(good, validation=measured([6, 6, 6], 0.83), train=train)
    assert verdicts(small) == [Verdict.SMALL_VALIDATION]
    line = text(small, Verdict.SMALL_VALIDATION)
    assert line.startswith("only 18 validation images to choose by: the standard error of their accuracy is ")
    assert "7 of 8 heads were within one image of the best" in line
    assert "--val-fraction" in line
    assert verdicts(replace(good, train=train)) == []
    one = replace(good.train, chosen=Chosen(learning_rate=0.1, candidates=1, close=1))
    assert verdicts(replace(small, train=one)) == [], "nothing was chosen"


def test_classes_that_the_accuracy_hides(good):
    """93 % right, and a class of one image that is never right."""
    metrics = replace(good, test=measured([1000, 1000, 1], 0.93, never=2))
    assert verdicts(metrics) == [Verdict.HIDDEN_CLASSES]
    line = text(metrics, Verdict.HIDDEN_CLASSES)
    assert line.endswith("no image of cat (1 image) is classified correctly; balanced accuracy is 62.00%")
    rare = replace(good, test=measured([1000, 1000, 2], 1.0))
    assert "too few images to judge cat (2 images)" in text(rare, Verdict.HIDDEN_CLASSES)
    # A weak model misses classes without surprising anybody.
    weak = replace(good, test=measured([700, 700, 700], 0.60, never=2))
    assert weak.test.accuracy < 0.5
    assert Verdict.HIDDEN_CLASSES not in verdicts(weak)


def test_copies_are_said_of_validation_and_test(good):
    dataset = replace(good.dataset, num_trained_on=4, num_validation=1000, num_validation_copies=2)
    metrics = replace(good, dataset=dataset)
    assert verdicts(metrics) == [Verdict.COPIES]
    assert text(metrics, Verdict.COPIES).startswith(
        "2 of 1,000 validation images and 4 of 2,000 test images are copies"
    )
    assert verdicts(replace(metrics, split="train")) == [], "training images are copies of themselves"


def test_a_model_that_contradicts_a_fifth_of_the_labels_doubts_nobody(good):
    assert not doubts_too_many(48, 240)
    assert doubts_too_many(49, 240)
    metrics = replace(good, test=replace(good.test, num_doubted=401))
    assert verdicts(metrics) == [Verdict.WEAK_DOUBTS]
    assert "contradicts 401 of 2,000 labels" in text(metrics, Verdict.WEAK_DOUBTS)
    assert verdicts(replace(good, test=replace(good.test, num_doubted=400))) == []


def test_metrics_of_an_older_version_can_be_judged(good):
    """Without what is recorded for the verdicts alone."""
    old = split_metrics_of(np.eye(3)[[0, 1, 2]] * 9, np.array([0, 1, 2]), NAMES)
    assert old.num_doubted is None
    assert Verdict.WEAK_DOUBTS not in verdicts(replace(good, test=old))
    again = StageMetrics.from_dict(replace(good, against_probe=AgainstProbe(0.97, -0.02, (-0.03, -0.01))).to_dict())
    assert verdicts(again) == [Verdict.BELOW_PROBE]
