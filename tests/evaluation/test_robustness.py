"""Accuracy on corrupted images: equal to a plain loop through `pipeline`, whatever reads and divides the images."""

import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.models import processor, tiny_resnet
from transformers import pipeline

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.images import CorruptImageError
from hf_cifar.data.sources import load_source
from hf_cifar.evaluation import robustness
from hf_cifar.evaluation.corruptions import CORRUPTIONS, corrupt
from hf_cifar.evaluation.robustness import measure_robustness


@pytest.fixture(scope="module")
def images(image_folder):
    """Nine of the test images, out of order."""
    return (
        load_source(DataConfig(dataset=str(image_folder)))
        .splits["test"]
        .select(np.array([16, 0, 9, 2, 7, 12, 4, 11, 5]))
    )


@pytest.fixture(scope="module")
def model():
    """A tiny network with the classes of the images."""
    found = tiny_resnet(3)
    found.config.id2label = {0: "blue", 1: "green", 2: "red"}
    found.config.label2id = {"blue": 0, "green": 1, "red": 2}
    return found


@pytest.fixture(scope="module")
def measured(model, images):
    return measure_robustness(model, processor(16), images, seed=5)


def test_equals_pipeline_on_saved_images(measured, model, images, tmp_path):
    names = ["blue", "green", "red"]
    classify = pipeline("image-classification", model=model, image_processor=processor(16))
    table = {}
    for name in CORRUPTIONS:
        table[name] = []
        for severity in range(1, 6):
            paths = []
            for position, row in enumerate(images.index.tolist()):
                paths.append(str(tmp_path / f"{position}.png"))
                corrupt(images.decode([position])[0], name, severity, 5, row).save(paths[-1])
            predictions = [names.index(rows[0]["label"]) for rows in classify(paths, top_k=1)]
            table[name].append(np.mean(np.array(predictions) == images.targets))
    assert measured.corruptions == table
    assert list(measured.corruptions) == list(CORRUPTIONS)
    flat = [value for row in table.values() for value in row]
    assert len(set(flat)) > 3, "a model that always predicts the same would prove nothing"
    assert measured.mean_corruption_accuracy == pytest.approx(sum(flat) / len(flat), abs=1e-12)
    clean = [names.index(rows[0]["label"]) for rows in classify(images.decode(range(9)), top_k=1)]
    assert measured.clean_accuracy == np.mean(np.array(clean) == images.targets)
    assert (measured.num_examples, measured.seed) == (9, 5)


def test_workers_order_and_the_other_images_change_nothing(measured, model, images):
    assert measure_robustness(model, processor(16), images, seed=5, workers=2) == measured
    assert measure_robustness(model, processor(16), images.select(np.arange(9)[::-1]), seed=5) == measured
    alone = [measure_robustness(model, processor(16), images.select(np.array([at])), seed=5) for at in range(9)]
    for name, row in measured.corruptions.items():
        np.testing.assert_allclose(np.mean([item.corruptions[name] for item in alone], axis=0), row, atol=1e-12)
    assert measure_robustness(model, processor(16), images, seed=6) != replace(measured, seed=6)


def _one_of_two(rank, folder, model, images, results):
    os.environ.update(RANK=str(rank), WORLD_SIZE="2")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    counts, read = [], robustness.in_order
    robustness.in_order = lambda images, *rest: counts.append(len(images)) or read(images, *rest)
    results.put((counts, measure_robustness(model, processor(16), images, seed=5)))


def test_two_processes_find_what_one_does(measured, model, images, tmp_path):
    forking = multiprocessing.get_context("fork")
    results = forking.Queue()
    both = [forking.Process(target=_one_of_two, args=(rank, tmp_path, model, images, results)) for rank in range(2)]
    for one in both:
        one.start()
    found = sorted((results.get(timeout=60) for _ in both), key=lambda item: item[0])
    assert found == [([4], measured), ([5], measured)], "each image is read by one of them, and both know all"
    for one in both:
        one.join()


def test_labels_in_the_order_of_the_logits(measured, model, images):
    other = measure_robustness(model, processor(16), images, seed=5, targets=(images.targets + 1) % 3)
    assert other.corruptions != measured.corruptions
    turned = tiny_resnet(3)
    with torch.no_grad():
        layer = turned.classifier[1]
        layer.weight.copy_(layer.weight[[2, 0, 1]])
        layer.bias.copy_(layer.bias[[2, 0, 1]])
    assert measure_robustness(turned, processor(16), images, seed=5, targets=(images.targets + 1) % 3) == measured


def test_the_model_is_in_eval_mode_and_stays_as_it_was(model, images, measured):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    assert measure_robustness(model, processor(16), images, seed=5) == measured
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_digits_of_8_pixels(model):
    digits = load_source(DataConfig(dataset="digits")).splits["train"].select(np.arange(2))
    assert measure_robustness(tiny_resnet(10), processor(16), digits, seed=0).num_examples == 2


def test_an_unreadable_image_is_named(model, tmp_path):
    for name in ("blue", "red"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "broken.png").write_bytes(b"no picture")
    images = load_source(DataConfig(dataset=str(tmp_path))).splits["train"]
    with pytest.raises(CorruptImageError, match=r"broken\.png"):
        measure_robustness(model, processor(16), images, seed=0)
