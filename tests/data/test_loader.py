"""Batches hold the images that were asked for, however many workers make them."""

import gc
import multiprocessing
import os
import signal

import torch
from support.images import write_images
from support.models import processor
from torch.utils.data import DataLoader

from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.augmentation.augmentation import Augmentation
from hf_cifar.data.images import CorruptImageError
from hf_cifar.data.loader import ImageDataset, as_is, image_loader, in_order
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform


def test_batches_are_the_images_one_by_one_in_order(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    dataset = ImageDataset(images, Transform(processor(24)))
    one_by_one = torch.stack([dataset[number]["pixel_values"] for number in range(len(dataset))])
    assert one_by_one.shape == (60, 3, 24, 24)
    for workers in (0, 2):
        batched = torch.cat(list(in_order(images, Transform(processor(24)), 7, workers)))
        assert torch.equal(batched, one_by_one)


def test_augmented_batches_do_not_depend_on_the_workers(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]

    def epoch(workers: int) -> torch.Tensor:
        dataset = ImageDataset(images, Transform(processor(24), Augmentation("standard", seed=4)))
        dataset.set_epoch(3)
        return torch.cat([b["pixel_values"] for b in DataLoader(dataset, 8, collate_fn=as_is, num_workers=workers)])

    assert torch.equal(epoch(0), epoch(2))


def test_a_corrupt_image_is_one_line_from_a_worker_too(tmp_path):
    folder = write_images(tmp_path / "train", 4).parent
    (folder / "train" / "green" / "2.png").write_bytes(b"no image")
    images = load_source(DataConfig(dataset=str(folder))).splits["train"]
    before = set(multiprocessing.active_children())
    gc.disable()
    try:
        list(in_order(images, Transform(processor(24)), 4, workers=2))
    except CorruptImageError as error:
        said = str(error)
    finally:
        gc.enable()
    assert "\n" not in said and "green/2.png" in said
    assert set(multiprocessing.active_children()) == before, "the workers end before any garbage is collected"


def test_labels_go_with_their_images(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    dataset = ImageDataset(images, Transform(processor(24)))
    batch = dataset.__getitems__([50, 3, 30])
    assert batch["labels"].tolist() == [images.labels[50], images.labels[3], images.labels[30]]


PROLOGUE = """
import multiprocessing, signal, time
from transformers import ViTImageProcessor
from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.loader import image_loader, in_order
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform

def live_through_sigterm(ready):
    signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), exit(0)))
    ready.set()
    time.sleep(60)
"""


def test_a_daemon_of_the_host_program_is_not_killed(image_folder, warm_python):
    """It is asked to end by multiprocessing at exit, as without us; SIGKILL would give it no say."""
    code = f"""{PROLOGUE}
ready = multiprocessing.Event()
multiprocessing.Process(target=live_through_sigterm, args=(ready,), daemon=True).start()
ready.wait(60)
images = load_source(DataConfig(dataset={str(image_folder)!r})).splits["train"]
batches = in_order(images, Transform(ViTImageProcessor()), 2, workers=1)
next(batches)
"""
    ended = warm_python.run(code)
    assert (ended.returncode, ended.stdout) == (0, "asked to end\n"), ended.stderr


def test_nothing_happens_at_exit_before_there_is_a_loader_with_workers(image_folder, warm_python):
    code = f"""{PROLOGUE}
images = load_source(DataConfig(dataset={str(image_folder)!r})).splits["train"]
next(in_order(images, Transform(ViTImageProcessor()), 2, workers=0))
from hf_cifar.data import loader
assert loader._WORKERS.owner is None
"""
    ended = warm_python.run(code)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_workers_ignore_the_signals_that_reach_a_whole_group(image_folder):
    images = load_source(DataConfig(dataset=str(image_folder))).splits["train"]
    before = set(multiprocessing.active_children())
    batches = iter(image_loader(ImageDataset(images, Transform(processor(24))), batch_size=2, num_workers=1))
    first = next(batches)
    (worker,) = set(multiprocessing.active_children()) - before
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    total = len(first["labels"]) + sum(len(batch["labels"]) for batch in batches)
    assert total == len(images)


def test_a_loader_that_accelerate_copied_to_skip_batches_ends_too(image_folder, warm_python):
    """Resuming in the middle of an epoch does that."""
    code = f"""{PROLOGUE}
from accelerate import skip_first_batches
from torch.utils.data import BatchSampler, SequentialSampler
from hf_cifar.data.loader import ImageDataset
images = load_source(DataConfig(dataset={str(image_folder)!r})).splits["train"]
dataset = ImageDataset(images, Transform(ViTImageProcessor()))
sampler = BatchSampler(SequentialSampler(dataset), 2, False)
batches = iter(skip_first_batches(image_loader(dataset, batch_sampler=sampler, num_workers=1), 3))
assert next(batches)["labels"].tolist() == dataset.labels[6:8].tolist()
"""
    ended = warm_python.run(code)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_process_ends_without_a_word_although_its_workers_leave_signals_to_it(image_folder, warm_python):
    """Something may still hold the loader, such as the traceback of an error."""
    code = f"""{PROLOGUE}
images = load_source(DataConfig(dataset={str(image_folder)!r})).splits["train"]
batches = in_order(images, Transform(ViTImageProcessor()), 2, workers=2)
next(batches)
"""
    ended = warm_python.run(code)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_run_that_ends_on_an_image_of_a_worker_says_one_line(tmp_path, tiny_model, warm_python):
    train = write_images(tmp_path / "data" / "train", 8)
    (train / "green" / "2.png").write_bytes(b"no image")
    flags = ["--stage", "probe", "--dataset", train.parent, "--model", tiny_model, "--output-dir", tmp_path / "run"]
    flags += ["--dataloader-num-workers", 2, "--feature-cache", tmp_path / "cache"]
    ended = warm_python.run(f"import sys; from hf_cifar.cli import main; sys.exit(main({list(map(str, flags))!r}))")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("error: image ") and "Traceback" not in ended.stderr
