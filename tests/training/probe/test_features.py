"""The cache: right features, computed once, never stale, never half there, with two runs at once."""

import os
import shutil
import signal
import time

import numpy as np
import pytest
import torch
from support.families import FAMILIES
from support.images import write_images
from support.models import processor, scramble_statistics, tiny_resnet

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import load_source
from hf_cifar.training.probe import features as module
from hf_cifar.training.probe.features import FeatureCache


@pytest.fixture
def train(image_folder):
    return load_source(DataConfig(dataset=str(image_folder))).splits["train"]


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tiny_resnet(), processor(16), tmp_path / "cache")


def direct(model, images: LabeledImages, size: int = 16) -> np.ndarray:
    """Pooled output of the backbone, one image at a time, by transformers' own names."""
    model.eval()
    with torch.no_grad():
        outputs = [
            model.resnet(processor(size)(images=image, return_tensors="pt")["pixel_values"]).pooler_output.flatten()
            for image in images.decode(range(len(images)))
        ]
    return torch.stack(outputs).numpy()


def test_features_are_the_backbones_pooled_output(cache, train):
    features = cache.features(train)
    assert features.images_read == 60
    np.testing.assert_allclose(features[:], direct(cache.model, train), atol=1e-5)
    assert features.labels.tolist() == train.targets.tolist()


def test_training_mode_of_the_model_does_not_matter(cache, train):
    cache.model.train()
    np.testing.assert_allclose(cache.features(train)[:], direct(cache.model, train), atol=1e-5)


def test_second_time_no_image_is_read(cache, train, monkeypatch):
    first = cache.features(train)[:]

    def refuse(*args):
        raise AssertionError("an image was read")

    monkeypatch.setattr(LabeledImages, "_read", refuse)
    again = FeatureCache(tiny_resnet(), processor(16), cache.folder).features(train)
    assert again.images_read == 0
    assert np.array_equal(again[:], first)


def test_only_what_is_missing_is_computed(cache, train):
    some = train.select(np.array([50, 3, 7]))
    assert cache.features(some).images_read == 3
    more = train.select(np.array([7, 8, 3, 59]))
    features = cache.features(more)
    assert features.images_read == 2
    np.testing.assert_allclose(features[:], direct(cache.model, more), atol=1e-5)
    np.testing.assert_allclose(features[np.array([3, 0])], direct(cache.model, more)[[3, 0]], atol=1e-5)


def test_one_image_tells_the_size_of_all_batches(cache, train, monkeypatch):
    read, in_order = [], module.in_order
    monkeypatch.setattr(module, "in_order", lambda images, *rest: read.append(len(images)) or in_order(images, *rest))
    cache.features(train.select(np.arange(9)))
    cache.features(train)
    assert read.count(1) == 1 and read.count(51) == 1, read


def test_the_head_does_not_matter(cache, train):
    cache.features(train)
    other = tiny_resnet(num_labels=9)
    other.resnet.load_state_dict(cache.model.resnet.state_dict())
    assert FeatureCache(other, processor(16), cache.folder).features(train).images_read == 0


def test_another_weight_size_or_statistic_is_another_cache(cache, train):
    cache.features(train)
    nudged = tiny_resnet()
    with torch.no_grad():
        nudged.resnet.encoder.stages[0].layers[0].layer[0].convolution.weight[0, 0, 0, 0] += 1e-3
    assert FeatureCache(nudged, processor(16), cache.folder).features(train).images_read == 60
    moved = tiny_resnet()
    scramble_statistics(moved)
    assert FeatureCache(moved, processor(16), cache.folder).features(train).images_read == 60
    assert FeatureCache(tiny_resnet(), processor(24), cache.folder).features(train).images_read == 60


def test_changed_data_is_another_cache(cache, tmp_path):
    folder = write_images(tmp_path / "data" / "train", 4).parent
    load = lambda: load_source(DataConfig(dataset=str(folder))).splits["train"]  # noqa: E731
    assert cache.features(load()).images_read == 12
    assert cache.features(load()).images_read == 0
    write_images(folder / "train", 1, ["red"], seed=99)
    changed = load()
    assert cache.features(changed).images_read == 12
    np.testing.assert_allclose(cache.features(changed)[:], direct(cache.model, changed), atol=1e-5)


RUN = """
import time
from pathlib import Path
from support.models import processor, tiny_resnet
from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.sources import load_source
from hf_cifar.training.probe import features
features.batch_size, features.PART_ROWS = lambda *_: 5, 20
pixels = LabeledImages.pixels
def slowly(self, positions):
    time.sleep(0.15)
    return pixels(self, positions)
LabeledImages.pixels = slowly
train = load_source(DataConfig(dataset={data!r})).splits["train"]
print("started", flush=True)
found = features.FeatureCache(tiny_resnet(), processor(16), Path({cache!r})).features(train)
print(found.images_read, float(found[:].sum()), flush=True)
"""


@pytest.fixture
def slow_run(image_folder, tmp_path, warm_python):
    """Starts a process that computes the features of the colours, slowly."""
    return lambda: warm_python.start(RUN.format(data=str(image_folder), cache=str(tmp_path / "cache")))


def test_two_runs_at_once_share_the_work_and_agree(slow_run, train):
    runs = [slow_run() for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    answers = [run.out.split("\n")[1].split() for run in runs]
    assert sorted(int(read) for read, _ in answers) == [0, 60], "each image was computed once"
    expected = direct(tiny_resnet(), train).sum()
    assert [float(total) for _, total in answers] == pytest.approx([expected] * 2, rel=1e-4)


def test_a_kill_in_the_middle_leaves_whole_parts_only(slow_run, tmp_path, train):
    cache, run = tmp_path / "cache", slow_run()
    deadline = time.time() + 60
    while not list(cache.glob("*/part-*")) and time.time() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    (folder,) = cache.glob("*/")
    (folder / ".part.0a1b2c3d").mkdir()  # as a kill leaves it that comes while a part is written
    features = FeatureCache(tiny_resnet(), processor(16), cache).features(train)
    assert 0 < features.images_read < 60, "whole parts are used, the half one is not"
    np.testing.assert_allclose(features[:], direct(tiny_resnet(), train), atol=1e-5)
    assert not list(cache.glob("*/.part.*"))


def test_a_lost_part_is_computed_again(cache, train):
    cache.features(train)
    for part in cache.folder.glob("*/part-*"):
        shutil.rmtree(part)
    assert cache.features(train).images_read == 60


@pytest.mark.parametrize("name", ["features.npy", "rows.npy", "checksums.json"])
def test_a_flipped_bit_in_a_part_is_found_and_the_part_computed_again(name, cache, train, capfd):
    expected = cache.features(train)[:]
    (file,) = cache.folder.glob(f"*/part-*/{name}")
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    again = FeatureCache(tiny_resnet(), processor(16), cache.folder).features(train)
    assert again.images_read == 60
    assert np.array_equal(again[:], expected)
    assert "warning: cached features in" in capfd.readouterr().err


def test_a_cache_can_be_shared_with_whom_the_umask_allows(cache, train):
    before = os.umask(0o002)
    try:
        cache.features(train)
    finally:
        os.umask(before)
    (part,) = cache.folder.glob("*/part-*")
    assert part.stat().st_mode & 0o777 == 0o775
    assert {path.stat().st_mode & 0o777 for path in part.parent.rglob("*") if path.is_file()} == {0o664}


def test_what_a_configuration_changes_in_the_features_is_in_the_key_and_labels_are_not():
    family = FAMILIES["vit"]
    weights = family.make().state_dict()

    def key(**changes) -> str:
        model = family.make(**changes)
        model.load_state_dict(
            {**weights, **{name: model.state_dict()[name] for name in weights if "classifier" in name}}
        )
        return FeatureCache(model, family.make_processor()).backbone_key

    assert key(layer_norm_eps=0.1) != key()
    assert key(labels={0: "a", 1: "b"}) == key()
