"""How unlike training each image is, in the answers of `--stage predict --ood-score energy`."""

import numpy as np
import pandas as pd
import pytest
import torch
from support.models import processor, tiny_resnet

from hf_cifar.errors import InputError
from hf_cifar.inference.image_reading import read_image
from hf_cifar.inference.predictor import Predictor
from hf_cifar.inference.screen import answer_line
from hf_cifar.models.calibrate import divide_head
from hf_cifar.run.ood_scores import ENERGY_FILE, EnergyThreshold, OodAnswer
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.predict import run_prediction


@torch.inference_mode()
def energies(photos):
    """The definition, image by image."""
    network, found = tiny_resnet(), []
    for file in sorted(photos.iterdir()):
        pixels = processor(16)(images=read_image(file), return_tensors="pt")["pixel_values"]
        found.append(-network(pixels).logits.double().logsumexp(1).item())
    return found


@pytest.fixture(scope="module")
def model(photos, tmp_path_factory):
    """A classifier whose threshold some of the photos are above; a temperature is noted, and plays no part."""
    folder = tmp_path_factory.mktemp("energy")
    network = tiny_resnet()
    network.config.calibration_temperature = 0.5
    network.save_pretrained(folder)
    processor(16).save_pretrained(folder)
    EnergyThreshold(float(np.median(energies(photos))) + 1e-3, 400).write(folder)
    return folder


def test_each_answer_has_its_score_in_every_format(model, photos, tmp_path):
    expected, threshold = energies(photos), EnergyThreshold.read(model / ENERGY_FILE).threshold
    answers = list(Predictor(model, ood_score="energy", batch_size=7).answers(sorted(photos.iterdir()), top_k=1))
    np.testing.assert_allclose([answer.ood.score for answer in answers], expected, atol=1e-5)
    out = [answer.ood.is_out for answer in answers]
    assert out == [score > threshold for score in expected] and len(set(out)) == 2
    for suffix, read in ((".jsonl", lambda file: pd.read_json(file, lines=True)), (".csv", pd.read_csv)):
        output = tmp_path / f"answers{suffix}"
        values = {"checkpoint": str(model), "images": [str(photos)], "output": str(output), "ood_score": "energy"}
        result = run_prediction(
            request_for("predict", {**values, "coverage": None, "html": str(tmp_path / f"{suffix}.html")})
        )
        table = read(output)
        np.testing.assert_allclose(table["ood_score"], expected, atol=1e-5)
        assert list(table["out_of_distribution"]) == out
        assert result.summary()["ood_threshold"] == threshold
    assert (tmp_path / ".csv.html").read_text().count(": out of distribution") == sum(out)
    output = tmp_path / "answers.parquet"
    run_prediction(request_for("predict", {**values, "output": str(output)}))
    assert list(pd.read_parquet(output)["out_of_distribution"]) == out


def test_nothing_changes_where_it_is_not_asked_for(model, photos, tmp_path):
    output = tmp_path / "answers.csv"
    values = {"checkpoint": str(model), "images": [str(photos / "mode-L.png")], "output": str(output), "top_k": 1}
    result = run_prediction(request_for("predict", values))
    assert list(pd.read_csv(output)) == ["path", "label_1", "score_1"] and "ood_threshold" not in result.summary()
    [answer] = Predictor(model).answers([photos / "mode-L.png"])
    assert answer.ood is None


def test_a_calibrated_head_has_the_same_scores(model, photos, tmp_path):
    network = tiny_resnet()
    divide_head(network, 0.6, torch.rand(2, 3, 16, 16))
    network.save_pretrained(tmp_path)
    processor(16).save_pretrained(tmp_path)
    EnergyThreshold(0.0, 1).write(tmp_path)
    found = [answer.ood.score for answer in Predictor(tmp_path, ood_score="energy").answers(sorted(photos.iterdir()))]
    np.testing.assert_allclose(found, energies(photos), atol=1e-5)


def test_a_model_without_a_threshold_is_refused_before_it_is_loaded(tmp_path):
    (tmp_path / "config.json").write_text("no JSON")
    with pytest.raises(InputError, match=rf"^--ood-score energy: .* has no {ENERGY_FILE}.*--stage evaluate"):
        Predictor(tmp_path, ood_score="energy")


def test_an_unknown_score_is_refused(model):
    with pytest.raises(InputError, match="did you mean 'energy'"):
        Predictor(model, ood_score="enrgy")
    with pytest.raises(InputError, match="did you mean 'energy'"):
        request_for("predict", {"checkpoint": str(model), "ood_score": "enrgy"})


def test_on_the_screen():
    best = [{"label": "cat", "score": 0.9}]
    assert answer_line("a.png", best, None, OodAnswer(-3.14159, True)) == (
        "a.png  cat 90.0%  OOD score -3.14: out of distribution"
    )
    assert answer_line("a.png", best, ["cat"], OodAnswer(-9.0, False)) == "a.png  cat 90.0%  {cat}  OOD score -9"
