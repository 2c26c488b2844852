"""Two processes do what one does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from support.families import FAMILIES
from support.warm_python import WarmPython

from hf_cifar.data.loader import PADDING_LABEL, TrainBatches, take
from hf_cifar.utils import processes

ROOT = Path(__file__).parents[2]
LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    # It starts several processes on GPUs, by torchrun, and on CPUs by MPI alone, which is seldom there.
    "accelerate": ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"],
}


def launched(launcher: list[str], *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, *launcher, str(ROOT / "scripts" / "run.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=150)
    done.stdout = said(done.stdout)
    return done


def said(output: str) -> str:
    """Standard output without what is not ours: torch's Gloo (2.9) writes to it by itself."""
    return "".join(line for line in output.splitlines(True) if not line.startswith("[Gloo] "))


# What torchrun tells its processes.
RANK = """
import os, sys
os.environ.update({{"RANK": "{rank}", "LOCAL_RANK": "{rank}", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}})
os.environ.update({{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "{port}"}})
from hf_cifar.cli import main
sys.exit(main({arguments!r}))
"""


def two_processes(python: WarmPython, *arguments) -> list[subprocess.CompletedProcess]:
    """The command line in two processes that know of each other, without the seconds of torchrun and of imports."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    codes = [RANK.format(rank=rank, port=port, arguments=list(map(str, arguments))) for rank in (0, 1)]
    started = [python.start(code) for code in codes]
    ended = [process.wait() for process in started]
    return [
        subprocess.CompletedProcess(code, status, process.out, process.err)
        for code, status, process in zip(codes, ended, started, strict=True)
    ]


@pytest.fixture
def same_run(image_folder, tiny_model, tmp_path):
    """Flags without the folder. 53 images in batches of 26 leave one for the last batch, and 17 for the test."""
    return [
        *("--stage", "lpft", "--dataset", image_folder, "--model", tiny_model, "--unfreeze", "gradual"),
        *(
            "--max-train-samples",
            53,
            "--max-eval-samples",
            17,
            "--train-batch-size",
            26,
            "--probe-train-batch-size",
            26,
        ),
        *("--num-train-epochs", 3, "--probe-num-train-epochs", 3, "--learning-rate", 0.05, "--ema", 0.5),
        *("--learning-rates", 0.02, "--feature-cache", tmp_path / "cache"),
    ]


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name.replace("rng_state_0", "rng_state") for name in found if "rng_state_1" not in name}


def test_two_processes_end_in_the_metrics_of_one(same_run, command_line, warm_python, tmp_path):
    two, one = tmp_path / "two", tmp_path / "one"
    first, second = two_processes(warm_python, *same_run, "--output-dir", two)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert said(second.stdout) == "", "one process speaks"
    summary = json.loads(said(first.stdout))
    for part in (tmp_path / "cache").rglob("features.npy"):
        assert len(np.load(part)) < 53, "each process computed a part"
    alone = [*same_run, "--feature-cache", tmp_path / "alone"]
    assert command_line.run(*alone, "--output-dir", one) == 0, command_line.err
    assert files(two) == files(one)
    for stage in ("probe", "finetune"):
        ours, theirs = (json.loads((folder / stage / "metrics.json").read_text()) for folder in (two, one))
        assert (ours["train"]["processes"], theirs["train"]["processes"]) == (2, 1)
        for part in ("test", "validation"):
            for name in ("accuracy", "f1_macro", "top5_accuracy", "nll", "ece"):
                assert ours[part][name] == pytest.approx(theirs[part][name], abs=1e-5), (stage, part, name)
        assert ours["test"]["num_examples"] == 17
        tables = [pq.read_table(folder / stage / "predictions.parquet").to_pydict() for folder in (two, one)]
        assert tables[0]["index"] == tables[1]["index"] and len(set(tables[0]["index"])) == 17
        np.testing.assert_allclose(tables[0]["probabilities"], tables[1]["probabilities"], atol=1e-5)
        weights = [load_file(folder / stage / "model" / "model.safetensors") for folder in (two, one)]
        for name, value in weights[0].items():
            torch.testing.assert_close(value, weights[1][name], rtol=1e-4, atol=1e-6)
        histories = [pandas.read_csv(folder / stage / "history.csv") for folder in (two, one)]
        pandas.testing.assert_frame_equal(*histories, rtol=1e-4)
    assert summary["accuracy"] == ours["test"]["accuracy"] and summary["num_test"] == 17


@pytest.mark.slow
def test_two_processes_evaluate_as_one_does(flags, command_line, tmp_path):
    """Each image is predicted once, and one process writes."""
    assert command_line.run(*flags, "--max-eval-samples", 17) == 0, command_line.err
    there = ["--stage", "evaluate", "--checkpoint", tmp_path / "run"]
    done = launched(LAUNCHERS["torchrun"], *there, "--output-dir", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert command_line.run(*there, "--output-dir", tmp_path / "one") == 0, command_line.err
    ours, theirs = (json.loads((tmp_path / name / "evaluate" / "metrics.json").read_text()) for name in ("two", "one"))
    assert ours["test"]["confusion_matrix"] == theirs["test"]["confusion_matrix"]
    assert ours["test"]["nll"] == pytest.approx(theirs["test"]["nll"], abs=1e-6)
    assert files(tmp_path / "two") == files(tmp_path / "one")
    assert len(done.stdout.strip().splitlines()) == 1, "one process speaks"


@pytest.mark.slow
def test_accelerate_launch_runs_the_same_command(same_run, tmp_path):
    kept = [*same_run[2:6], "--max-train-samples", 53, "--max-eval-samples", 17, "--num-train-epochs", 1]
    done = launched(LAUNCHERS["accelerate"], "--stage", "probe", *kept, "--output-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip())["num_test"] == 17


@pytest.mark.slow
def test_a_wrong_request_ends_both(same_run, tmp_path):
    done = launched(LAUNCHERS["torchrun"], *same_run, "--output-dir", tmp_path, "--train-batch-size", 25)
    assert done.returncode != 0
    assert "--train-batch-size is 25: it must be a multiple of the 2 processes" in done.stderr


@pytest.mark.parametrize(("total", "size", "count"), [(53, 26, 2), (54, 16, 2), (10, 4, 4), (7, 8, 3), (9, 3, 1)])
def test_the_parts_of_every_batch_are_the_batch_of_one_process(total, size, count):
    whole = TrainBatches(total, size, seed=3)
    parts = [TrainBatches(total, size, seed=3, rank=rank, processes=count) for rank in range(count)]
    labels = torch.arange(total)
    for epoch in range(3):
        for batches in (whole, *parts):
            batches.set_epoch(epoch)
        assert {len(batches) for batches in parts} == {len(whole)}
        order = torch.randperm(total, generator=torch.Generator().manual_seed(3 + epoch)).tolist()
        assert [position for batch in whole for position in batch] == order
        for batch, *shares in zip(whole, *parts, strict=True):
            taken = [take(share, labels) for share in shares]
            assert all(len(wanted) for wanted, _ in taken), "no process may be left without an image"
            counted = [label for _, found in taken for label in found.tolist() if label != PADDING_LABEL]
            assert counted == batch


def test_every_item_is_in_one_share(monkeypatch):
    for total in (0, 1, 7, 8, 100):
        shares = []
        for rank in range(3):
            monkeypatch.setenv("RANK", str(rank))
            monkeypatch.setenv("WORLD_SIZE", "3")
            shares += processes.share(total)
        assert shares == list(range(total))


@pytest.mark.slow
def test_two_processes_train_a_network_with_parameters_that_no_answer_depends_on(image_folder, tmp_path):
    """DINOv2 has a mask token, which only its pretraining used."""
    FAMILIES["dinov2"].save(tmp_path / "model")
    flags = ["--stage", "finetune", "--dataset", image_folder, "--model", tmp_path / "model", "--num-train-epochs", 2]
    done = launched(LAUNCHERS["torchrun"], *flags, "--train-batch-size", 20, "--output-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
