"""Sentences of the report: what they say of given metrics."""

from dataclasses import replace

import pytest
from support.made_up_stage import FINETUNE, PROBE, ROBUSTNESS, made_up, metrics_of, split_metrics_of

from hf_cifar.evaluation import wording
from hf_cifar.run.train_summary import Augmentation, Chosen

NAMES = ["ape", "bee", "cat", "dog"]
SPLIT = split_metrics_of(*made_up(), NAMES, 1.4)


@pytest.mark.parametrize(
    ("augmentation", "text"),
    [
        (Augmentation(), "none"),
        (Augmentation("trivial", 0.25, 0.2, 1.0), "trivial, random erasing 0.25, MixUp 0.2, CutMix 1"),
    ],
)
def test_augmentation(augmentation, text):
    assert wording.describe_augmentation(augmentation) == text


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (Chosen(), None),
        (Chosen(epoch=0.0), "the start itself, as no epoch was as good on validation"),
        (Chosen(strength=0.001), "L2 strength 0.001"),
        (
            Chosen(epoch=8.0, step=1680, interpolation=0.75, metric="f1_macro", value=0.97778),
            "epoch 8 (step 1,680), interpolation 0.75, validation macro F1 97.77%",
        ),
        (Chosen(learning_rate=0.3, metric="nll", value=0.12341), "learning rate 0.3, validation NLL 0.1235"),
    ],
)
def test_selection(chosen, text):
    assert wording.describe_chosen(chosen) == text


def test_images_through_the_backbone():
    assert wording.describe_images_read(PROBE.images_through_backbone) == "12,345 of train and 678 of validation"
    assert wording.describe_images_read({"train": 0, "test": 0}) is None


def test_calibration_without_bins_or_temperature():
    assert len(wording.describe_calibration(SPLIT)) == 2
    (sentence,) = wording.describe_calibration(replace(SPLIT, reliability=[]))
    assert sentence.startswith("Temperature scaling with 1.400")
    *_, last = wording.describe_calibration(replace(SPLIT, temperature=None))
    assert last.startswith("No temperature is available")


def test_macro_f1_of_both_kinds_only_where_they_differ():
    assert [name for name, _ in wording.macro_f1(SPLIT)] == ["macro F1"]
    assert wording.describe_macro_f1(SPLIT) is None
    other = replace(SPLIT, f1_macro=0.19087, f1_macro_present=0.21205)
    assert [value for _, value in wording.macro_f1(other)] == ["19.08%", "21.20%"]
    assert "21.20%" in wording.describe_macro_f1(other)


def test_corruptions():
    text = wording.describe_corruptions(ROBUSTNESS)
    assert text.startswith("3 corruptions at 5 severities, applied to 200 of the images: accuracy changes from 81.25%")
    assert "to 55.00% on average" in text and "Not comparable with CIFAR-10-C" in text


def test_model_selection_is_that_of_a_training_stage():
    assert "validation split only" in wording.describe_selection(metrics_of("finetune", SPLIT))
    assert wording.describe_selection(metrics_of("evaluate", SPLIT)) is None
    assert FINETUNE.chosen.epoch == 3.0
