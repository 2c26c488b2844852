"""The energy score from training to evaluation: the threshold beside the model, and what is recorded of it."""

import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from support.images import write_images

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.errors import InputError
from hf_cifar.evaluation.report.report import render
from hf_cifar.inference.image_reading import read_image
from hf_cifar.inference.predictor import Predictor
from hf_cifar.run.ood_neighbours import KNN_FILE, NEIGHBOURS, FeatureBank
from hf_cifar.run.ood_scores import ENERGY_FILE
from hf_cifar.run.resolve import request_for
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.stages.evaluate import run_evaluation
from hf_cifar.stages.train import run_training

pytestmark = pytest.mark.usefixtures("no_pictures")


def energies(model, images):
    found = list(Predictor(model, ood_score="energy").answers(images))
    return np.array([answer.ood.score for answer in found])


def test_training_keeps_a_threshold_and_an_evaluation_measures_it(configure, image_folder, tmp_path):
    request = configure(ood_score="energy")
    trained = run_training(request)
    file = trained.model_dir / ENERGY_FILE
    threshold = json.loads(file.read_text())["threshold"]
    splits = json.loads((request.folder / "splits.json").read_text())
    train = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    held_out = energies(trained.model_dir, train.decode(splits["validation"]["rows"]))
    assert threshold == pytest.approx(held_out.max(), abs=1e-5), "19 of 20 of 6 images are all of them"
    assert all(item.is_corruption for item in trained.metrics.ood.compared)

    file.unlink()  # as in a run of an older version
    trained.folder.seal_model()
    foreign = write_images(tmp_path / "foreign", 4, ("violet",), seed=9)
    given = {"output_dir": str(request.folder), "ood_score": "energy", "ood_dataset": str(foreign)}
    result = run_evaluation(request_for("evaluate", given))
    assert json.loads(file.read_text())["threshold"] == pytest.approx(threshold, abs=1e-5)
    ood = result.metrics.ood
    inside = energies(trained.model_dir, sorted((image_folder / "test").rglob("*.png")))
    outside = energies(trained.model_dir, sorted(foreign.rglob("*.png")))
    *corrupted, other = ood.compared
    for item, before in zip(corrupted, trained.metrics.ood.compared, strict=True):
        assert item.name == before.name and item.auroc == pytest.approx(before.auroc, abs=0.02)
    assert (other.name, other.num_examples, other.is_corruption) == ("foreign", 4, False)
    truth = roc_auc_score([0] * len(inside) + [1] * 4, np.concatenate([inside, outside]))
    assert other.auroc == pytest.approx(truth, abs=1e-9) and ood.kept == np.mean(inside <= threshold + 1e-5)

    assert StageMetrics.read(result.folder.metrics) == result.metrics
    assert result.summary()["ood_auroc"]["foreign"] == other.auroc
    page = render("run", result.metrics)
    assert 'id="ood"' in page and "gaussian noise" in page and other.shown_auroc in page


def test_images_that_gave_the_threshold_are_no_measure_of_it(tiny_model, image_folder, tmp_path):
    given = {"checkpoint": str(tiny_model), "dataset": str(image_folder), "output_dir": str(tmp_path)}
    with pytest.raises(InputError, match="--ood-score with --split validation"):
        run_evaluation(request_for("evaluate", {**given, "ood_score": "energy", "split": "validation"}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ood_dataset": "digits"}, "--ood-dataset does nothing without --ood-score"),
        ({"ood_score": "energy", "ood_dataset": "nowhere/at/all"}, "^--ood-dataset nowhere/at/all"),
        ({"ood_score": "energy", "ood_dataset": "digits", "dataset": "digits"}, "the images that are evaluated"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(given, words, tiny_model):
    with pytest.raises(InputError, match=words):
        request_for("evaluate", {"checkpoint": str(tiny_model), **given})


def unit(model, processor, images):
    """Features of length one, image by image."""
    with torch.inference_mode():
        pixels = torch.cat([processor(images=image, return_tensors="pt")["pixel_values"] for image in images])
        found = model.resnet(pixels).pooler_output.flatten(1).numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_an_evaluation_keeps_features_and_predict_measures_distances_to_them(configure, image_folder, tmp_path):
    request = configure()
    trained = run_training(request)
    assert not (trained.model_dir / KNN_FILE).exists()
    with pytest.raises(InputError, match=f"^--ood-score knn: .* has no {KNN_FILE}"):
        Predictor(trained.model_dir, ood_score="knn")
    alone = shutil.copytree(trained.model_dir, tmp_path / "alone")
    given = {"checkpoint": str(alone), "dataset": str(image_folder), "output_dir": str(tmp_path / "out")}
    with pytest.raises(InputError, match=f"has no {KNN_FILE}, and the images that it was trained on are not at hand"):
        run_evaluation(request_for("evaluate", {**given, "ood_score": "knn"}))
    given = {"output_dir": str(request.folder), "ood_score": "knn", "ood_dataset": "digits", "max_eval_samples": 9}
    result = run_evaluation(request_for("evaluate", given))
    ood, bank = result.metrics.ood, FeatureBank.read(trained.model_dir / KNN_FILE)
    assert (ood.score, ood.num_features, ood.threshold) == ("knn", 54, bank.threshold) and bank.num_examples == 6
    again = run_evaluation(request_for("evaluate", {**given, "overwrite": True}))
    assert again.metrics.ood == ood
    assert "10th nearest of 54 training images" in render("run", again.metrics)

    predictor = Predictor(trained.model_dir, ood_score="knn", batch_size=4)
    splits = json.loads((request.folder / "splits.json").read_text())
    train = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    kept = unit(predictor.model, predictor.processor, train.decode(splits["train"]["rows"]))
    files = sorted((image_folder / "test").rglob("*.png"))
    asked = unit(predictor.model, predictor.processor, [read_image(file) for file in files])
    expected = np.sort(np.linalg.norm(asked[:, None] - kept[None], axis=2), axis=1)[:, NEIGHBOURS - 1]
    answers = list(predictor.answers(files))
    np.testing.assert_allclose([answer.ood.score for answer in answers], expected, atol=1e-3)
    plain = [answer.predictions for answer in Predictor(trained.model_dir).answers(files)]
    assert [answer.predictions for answer in answers] == plain


def test_logits_alone_have_no_distance(tiny_model, configure):
    with pytest.raises(InputError, match="--ood-score knn with --backend onnx"):
        request_for("predict", {"checkpoint": str(tiny_model), "ood_score": "knn", "backend": "onnx"})
    with pytest.raises(InputError, match="--ood-score knn with --backend onnx"):
        Predictor(tiny_model, ood_score="knn", backend="onnx")
    with pytest.raises(InputError, match="--ood-score knn with a training stage"):
        configure(ood_score="knn")
