"""The probe on real photographs, against scikit-learn and `pipeline`; needs data that is not part of the project."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from support.images import SHARED
from transformers import pipeline

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.data.splits import make_splits
from hf_cifar.models.build import build_model, fit_processor
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.train import run_training
from hf_cifar.training.probe.features import FeatureCache

DATA, WEIGHTS = SHARED / "data" / "cifar10-jpeg", SHARED / "weights" / "resnet18-tiny-imagenet"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA.is_dir() and WEIGHTS.is_dir()), reason="CIFAR-10 and its backbone are not here"),
]


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar10")
    options = {
        "dataset": str(DATA),
        "weights": str(WEIGHTS),
        "image_size": 64,
        "solver": "lbfgs",
        "max_train_samples": 4000,
        "max_eval_samples": 2000,
        "output_dir": str(folder / "run"),
        "feature_cache": str(folder / "cache"),
    }
    request = request_for("probe", options)
    return request, run_training(request)


def test_lbfgs_is_within_a_third_of_a_point_of_scikit_learn(probed):
    request, result = probed
    config = request.config
    source = load_source(config.data)
    splits = make_splits(source, config.data, config.seed)
    built = build_model(request.model, request.weights, 64, source.label_names, config.seed)
    cache = FeatureCache(built.model, fit_processor(built.processor, 64, None), Path(config.probe.feature_cache))
    train, test = cache.features(splits.train), cache.features(splits.test)
    assert train.images_read == test.images_read == 0
    scaler = StandardScaler().fit(train[:])
    strength = result.metrics.train.chosen.strength
    theirs = LogisticRegression(C=1 / (strength * len(train)), max_iter=2000)
    theirs.fit(scaler.transform(train[:]), train.labels)
    expected = theirs.score(scaler.transform(test[:]), test.labels)
    assert result.metrics.test.accuracy == pytest.approx(expected, abs=0.003)


def test_pipeline_gives_the_predictions_of_real_images(probed):
    _, result = probed
    images = load_source(DataConfig(dataset=str(DATA))).splits["test"]
    table = pq.read_table(result.output_dir / "probe" / "predictions.parquet").slice(0, 300).to_pydict()
    classify = pipeline("image-classification", model=str(result.model_dir))
    names = [classify.model.config.id2label[number] for number in range(10)]
    answers = classify(images.decode(table["index"]), top_k=10)
    for answer, prediction, expected in zip(answers, table["prediction"], table["probabilities"], strict=True):
        scores = {item["label"]: item["score"] for item in answer}
        assert answer[0]["label"] == names[prediction]
        np.testing.assert_allclose([scores[name] for name in names], expected, atol=1e-4)
