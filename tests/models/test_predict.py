"""Logits of many images against the model on each image alone."""

import numpy as np
import pytest
import torch
from support.models import processor, tiny_resnet

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.sources import load_source
from hf_cifar.models import predict
from hf_cifar.models.predict import predict_logits
from hf_cifar.utils import processes


@pytest.fixture
def images(image_folder):
    return load_source(DataConfig(dataset=str(image_folder))).splits["test"]


@torch.no_grad()
def one_by_one(model, images):
    pixels = [processor(16)(images=image, return_tensors="pt")["pixel_values"] for image in images.decode(range(18))]
    return torch.cat([model(tensor).logits for tensor in pixels]).numpy()


@pytest.mark.parametrize(("batch", "workers"), [(5, 0), (64, 0), (4, 2)])
def test_logits_are_those_of_each_image_alone_in_order(batch, workers, images, monkeypatch):
    monkeypatch.setattr(predict, "BATCH_SIZE", batch)
    model = tiny_resnet()
    logits = predict_logits(model.train(), processor(16), images, "test", workers=workers)
    assert not model.training and logits.dtype == np.float32
    np.testing.assert_allclose(logits, one_by_one(model, images), rtol=1e-4, atol=1e-5)


def test_no_images_have_no_logits(images):
    assert predict_logits(tiny_resnet(), processor(16), images.select(np.array([], int)), "none").shape == (0, 5)


def test_each_process_predicts_its_share(images, monkeypatch):
    model, shares = tiny_resnet(), []
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "gathered", lambda rows: rows)
    for rank in range(2):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        shares.append(predict_logits(model, processor(16), images, "test"))
    assert [len(share) for share in shares] == [9, 9]
    np.testing.assert_allclose(np.concatenate(shares), one_by_one(model, images), rtol=1e-4, atol=1e-5)
