"""A disk that is full, or a file that may not grow: one line, nothing half-written, and a run that can go on."""

import hashlib
import json
from pathlib import Path

import pytest

LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
"""


def outcome(run: Path) -> tuple:
    metrics = json.loads((run / "probe" / "metrics.json").read_text())
    return hashlib.sha256((run / "probe" / "model" / "model.safetensors").read_bytes()).hexdigest(), metrics["test"]


@pytest.fixture(scope="module")
def expected(command_line, image_folder, tiny_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    flags = ["--dataset", image_folder, "--model", tiny_model, "--num-train-epochs", 2, "--train-batch-size", 16]
    flags += ["--stage", "probe", "--feature-cache", place / "cache"]
    assert command_line.run(*flags, "--output-dir", place / "run") == 0, command_line.err
    return flags, outcome(place / "run")


# Standard error is a file too, and a few lines long.
SIZES = [800, 5_000, *(pytest.param(size, marks=pytest.mark.slow) for size in (2_000, 10_000, 20_000))]


@pytest.mark.parametrize("size", SIZES)
def test_a_write_that_fails_is_one_line_and_the_run_goes_on(size, expected, command_line, tmp_path):
    flags, whole = expected
    there = [*flags, "--output-dir", tmp_path / "run", "--feature-cache", tmp_path / "cache"]
    assert command_line.run(*there, before=LIMIT.format(bytes=size)) == 1, command_line.err
    assert "Traceback" not in command_line.err
    assert command_line.err.strip().splitlines()[-1].startswith("error: ")
    assert command_line.out == ""
    for file in tmp_path.rglob("*.json"):
        json.loads(file.read_text())
    again = ["--resume"] if (tmp_path / "run" / "run.yaml").is_file() else ["--overwrite"]
    assert command_line.run(*there, *again) == 0, command_line.err
    assert outcome(tmp_path / "run") == whole
    leftovers = [file.name for file in tmp_path.rglob(".*") if file.name not in (".lock", ".lock-holder")]
    assert not leftovers


@pytest.mark.parametrize("option", ["--output-dir", "--feature-cache"])
def test_a_read_only_folder_is_one_line_before_any_work(option, expected, command_line, tmp_path):
    """As whoever runs the tests may write everywhere, the answer of the system is made up."""
    flags, _ = expected
    places = {"--output-dir": tmp_path / "run", "--feature-cache": tmp_path / "cache"}
    read_only = tmp_path / "read-only"
    read_only.mkdir()
    places[option] = read_only / "x"
    before = f"import os; ask = os.access; os.access = lambda path, *a, **k: str(path) != {str(read_only)!r}"
    there = [item for pair in places.items() for item in pair]
    assert command_line.run(*flags, *there, before=before) == 1
    line = f"error: cannot write {read_only}: no permission, or a read-only file system"
    assert command_line.err.splitlines() == [line]
    assert [path.name for path in tmp_path.iterdir()] == ["read-only"]
