"""Sets of labels in the answers of `--stage predict --coverage`."""

import json

import numpy as np
import pandas as pd
import pytest
from support.exported import run_without_torch, write_onnx
from support.models import processor, tiny_resnet

from hf_cifar.errors import InputError
from hf_cifar.formats.variants import FILES
from hf_cifar.inference.predictor import Predictor
from hf_cifar.run.ood_scores import EnergyThreshold
from hf_cifar.run.prediction_sets import SETS_FILE, PredictionSets
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.predict import run_prediction

TEMPERATURE = 0.5


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A classifier with prediction sets of random images, and exported beside."""
    folder = tmp_path_factory.mktemp("sets")
    network = tiny_resnet()
    network.config.calibration_temperature = TEMPERATURE
    network.config.id2label = dict(enumerate(["ant", "bee, wasp", "=crow", "dög", "elk"]))
    network.save_pretrained(folder)
    processor(16).save_pretrained(folder)
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 0.4, (400, 5))
    labels = (logits / TEMPERATURE + rng.gumbel(size=logits.shape)).argmax(axis=1)
    PredictionSets.calibrate(logits, labels, TEMPERATURE).write(folder)
    EnergyThreshold(-1.6, 400).write(folder)
    write_onnx(network, 16, folder / FILES["onnx"])
    return folder


def expected(model, files):
    """The sets of the definition, from every score of an image and the temperature."""
    threshold = PredictionSets.read(model / SETS_FILE).threshold(0.7)
    sets = []
    for answer in Predictor(model).predict(files):
        logits = np.log([item["score"] for item in answer]) / TEMPERATURE
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        within = int((np.cumsum(probabilities) - probabilities <= threshold).sum())
        sets.append([item["label"] for item in answer[:within]])
    return sets


def test_each_answer_has_its_set_in_every_format(model, photos, tmp_path):
    files = sorted(photos.iterdir())
    sets = expected(model, files)
    assert {len(row) for row in sets} >= {1, 2}
    predictor = Predictor(model, coverage=0.7, batch_size=7)
    assert [answer.prediction_set for answer in predictor.answers(files, top_k=1)] == sets
    for suffix, read in (
        (".jsonl", lambda file: [json.loads(line)["prediction_set"] for line in file.read_text().splitlines()]),
        (".csv", lambda file: [json.loads(cell) for cell in pd.read_csv(file)["prediction_set"]]),
        (".parquet", lambda file: [list(cell) for cell in pd.read_parquet(file)["prediction_set"]]),
    ):
        output = tmp_path / f"answers{suffix}"
        values = {"checkpoint": str(model), "images": [str(photos)], "output": str(output), "coverage": 0.7}
        run_prediction(request_for("predict", values))
        assert read(output) == sets


def test_sets_and_energies_are_made_without_torch(model, photos):
    files = [str(file) for file in sorted(photos.glob("exif*"))]
    code = f"""
import json
from hf_cifar import Predictor
predictor = Predictor({str(model)!r}, backend="onnx", coverage=0.7, ood_score="energy")
answers = list(predictor.answers({files!r}))
print(json.dumps([[answer.prediction_set for answer in answers], [answer.ood.score for answer in answers]]))
"""
    done = run_without_torch(code)
    assert done.returncode == 0, done.stderr
    sets, energies = json.loads(done.stdout)
    assert sets == expected(model, files)
    native = [answer.ood.score for answer in Predictor(model, ood_score="energy").answers(files)]
    np.testing.assert_allclose(energies, native, atol=2e-3)


def test_no_coverage_no_set(model, photos):
    [answer] = Predictor(model).answers([photos / "mode-L.png"])
    assert answer.prediction_set is None


def test_a_model_without_sets_is_refused_before_it_is_loaded(tmp_path):
    (tmp_path / "config.json").write_text("no JSON")
    with pytest.raises(InputError, match=rf"^--coverage: .* has no {SETS_FILE}"):
        Predictor(tmp_path, coverage=0.9)


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1])
def test_a_coverage_that_cannot_be_is_refused(model, coverage):
    with pytest.raises(InputError, match="--coverage"):
        request_for("predict", {"checkpoint": str(model), "coverage": coverage})
    with pytest.raises(InputError, match="coverage is"):
        Predictor(model, coverage=coverage)
