"""The metrics against scikit-learn, by class and by path, with no network."""

import subprocess
import sys

import evaluate
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from hf_cifar.evaluation.metrics import Accuracy, BalancedAccuracy, MacroF1, TopKAccuracy, measured, path

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 7, 300)
SCORES = RNG.normal(size=(300, 7))
GUESSES = np.where(RNG.random(300) < 0.6, LABELS, RNG.integers(0, 7, 300))


@pytest.fixture(params=["class", "path"])
def load(request):
    kinds = {"accuracy": Accuracy, "macro_f1": MacroF1, "top_k_accuracy": TopKAccuracy}
    return (lambda name: kinds[name]()) if request.param == "class" else (lambda name: evaluate.load(path(name)))


def test_accuracy(load):
    assert load("accuracy").compute(predictions=GUESSES, references=LABELS) == {
        "accuracy": pytest.approx(accuracy_score(LABELS, GUESSES))
    }


def test_macro_f1(load):
    expected = f1_score(LABELS, GUESSES, average="macro")
    assert load("macro_f1").compute(predictions=GUESSES, references=LABELS)["f1_macro"] == pytest.approx(expected)


def test_what_is_measured_of_arrays_is_what_compute_says():
    answers = {"predictions": GUESSES, "references": LABELS}
    for metric in (Accuracy, BalancedAccuracy, MacroF1):
        assert measured(metric, **answers) == metric().compute(**answers)
    assert measured(MacroF1, **answers, num_labels=9) == MacroF1().compute(**answers, num_labels=9)
    scores = {"predictions": SCORES, "references": LABELS, "k": 2}
    assert measured(TopKAccuracy, **scores) == TopKAccuracy().compute(**scores)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k(load, k):
    expected = top_k_accuracy_score(LABELS, SCORES, k=k)
    result = load("top_k_accuracy").compute(predictions=SCORES, references=LABELS, k=k)
    assert result["top_k_accuracy"] == pytest.approx(expected)


def test_top_k_where_scikit_learn_refuses():
    metric = TopKAccuracy()
    two = metric.compute(predictions=[[0.9, 0.1], [0.8, 0.2]], references=[0, 1], k=1)
    assert two["top_k_accuracy"] == 0.5
    assert metric.compute(predictions=[[0.9, 0.1], [0.8, 0.2]], references=[0, 1], k=5)["top_k_accuracy"] == 1.0


def test_a_class_that_never_occurs_counts_when_it_is_among_the_labels():
    some = {"predictions": [0, 0, 1], "references": [0, 0, 1]}
    assert MacroF1().compute(**some)["f1_macro"] == 1.0
    assert MacroF1().compute(**some, num_labels=4)["f1_macro"] == 0.5


def test_they_can_be_combined_and_fed_in_batches():
    both = evaluate.combine([Accuracy(), MacroF1()])
    both.add_batch(predictions=GUESSES[:100], references=LABELS[:100])
    both.add_batch(predictions=GUESSES[100:], references=LABELS[100:])
    assert both.compute() == {
        "accuracy": pytest.approx(accuracy_score(LABELS, GUESSES)),
        "f1_macro": pytest.approx(f1_score(LABELS, GUESSES, average="macro")),
    }


def test_nothing_is_asked_of_the_network():
    """A fresh process in which every connection is an error; the libraries are not told to be offline."""
    code = f"""
import os, socket
for name in ("HF_HUB_OFFLINE", "HF_EVALUATE_OFFLINE"):
    os.environ.pop(name, None)
def refuse(*args, **kwargs):
    raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import evaluate
from hf_cifar.evaluation.metrics import Accuracy
print(Accuracy().compute(predictions=[1, 0], references=[1, 1]))
print(evaluate.load({path("macro_f1")!r}).compute(predictions=[1, 0], references=[1, 0]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["{'accuracy': 0.5}", "{'f1_macro': 1.0}"]
