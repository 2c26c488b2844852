"""A Space next to the model: what goes, and the page in a browser that answers as Python does with the same network."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import onnxruntime
import pytest
from huggingface_hub import SpaceCard
from PIL import Image
from scipy.special import softmax
from support.browser import run_script, skip_without_browser, skip_without_node
from support.hub.contents import on_hub
from support.hub.fixtures import REPO
from support.hub.store import File
from support.onnx import write_onnx
from transformers import AutoImageProcessor, pipeline

from hf_cifar.errors import InputError
from hf_cifar.hub.export import Trained, trained_stage
from hf_cifar.hub.space.build import PAGE_FILES, network_of, write_space

NETWORK = "onnx/model.onnx"
RESIZE_DIFFERENCE = 0.03  # of a score, for pixels that are off by a level of 255, of a network of 3,000 parameters


@pytest.fixture(scope="session")
def network(trained, tmp_path_factory):
    return write_onnx(trained / "finetune" / "model", tmp_path_factory.mktemp("network") / "model.onnx", 16)


@pytest.fixture
def with_network(stage, network):
    """The stage, whose export has the network as ONNX."""
    (stage / "export" / "onnx").mkdir()
    (stage / "export" / NETWORK).write_bytes(network.read_bytes())
    return stage


def space_of(hub) -> dict[str, bytes]:
    files = hub.repository(REPO, "space").head.files
    return {path: file.content for path, file in files.items() if path != ".gitattributes"}


def test_without_a_network_nothing_is_sent(push, hub, stage):
    done = push("--space", "static")
    assert done.status == 2 and f"--stage export --checkpoint {stage} --formats native,onnx,onnx-q8" in done.error
    assert hub.asked == []


def test_the_page_goes_next_to_the_model_in_one_commit(push, hub, with_network):
    done = push("--space", "static")
    assert done.status == 0, done.err
    there, commits = space_of(hub), hub.repository(REPO, "space").head.history
    assert {*PAGE_FILES, "README.md", "space.json", "model/config.json", f"model/{NETWORK}"} <= set(there)
    assert there[f"model/{NETWORK}"] == on_hub(hub)[NETWORK]
    assert len(commits) == 2 and commits[0].title == "hf_cifar: page of the model"
    assert hub.repository(REPO, "space").private
    url = f"{hub.url}/spaces/{REPO}"
    assert done.summary["space"] == {"url": url, "commit": commits[0].oid, "changed": True, "files": len(there)}
    card = SpaceCard(there["README.md"].decode()).data
    assert card.sdk == "static" and card.app_file in there and card.models == [REPO]
    assert len(card.short_description) <= 60 and card.title
    about = json.loads(there["space.json"])
    assert {example["file"].removeprefix("./") for example in about["examples"]} <= set(there)
    assert "transformers@4.3.2/" in about["library"] and "test images right" in about["facts"]
    again = push("--space", "static")
    assert again.status == 0 and again.summary["space"] == {**done.summary["space"], "changed": False}


QUICK = "from hf_cifar.evaluation.formats import latency; latency.TURN_SECONDS = 0.0\n"
WITHOUT_ONNX = """
from hf_cifar.errors import InputError
from hf_cifar.formats import make
def refuse(*_):
    raise InputError("not today")
make.export_onnx = refuse
"""
# Exporting, quantising and opening the folder in another process take seconds, and have tests of their own.
UNCHECKED = """
from hf_cifar.hub import export
export.check_predictions = lambda *_, **__: 0.0
"""
MADE_BEFORE = """
import shutil
from hf_cifar.formats import make
make.export_onnx = lambda network, pixels, file: shutil.copyfile({network!r}, file)
make.quantize_statically = lambda source, target, batches: shutil.copyfile(source, target) and {{"Conv": 1}}
"""


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_command_makes_the_network_and_pushes_its_page(push, hub, stage, network, real):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason="hf_cifar[onnx] is not installed")
    command = ("--space", "static", "--formats", "onnx,onnx-q8", "--max-accuracy-drop", "100")
    none = push(*command[:-1], "99", before=QUICK + WITHOUT_ONNX + UNCHECKED)
    assert none.status == 2 and "--space needs the model as ONNX" in none.error, "it was asked for, and left out"
    assert not hub.store.repositories
    done = push(*command, before=QUICK if real else QUICK + UNCHECKED + MADE_BEFORE.format(network=str(network)))
    assert done.status == 0, done.err
    there, model = space_of(hub), on_hub(hub)
    assert {"onnx/model.onnx", "onnx/model_quantized.onnx", "formats.json"} <= set(model)
    assert there["model/onnx/model_quantized.onnx"] == model["onnx/model_quantized.onnx"]
    assert f"model/{NETWORK}" not in there and json.loads(there["space.json"])["dtype"] == "q8"


@pytest.mark.parametrize("accuracy", [0.25, None])
def test_the_page_says_how_good_the_network_is_that_it_shows(with_network, tmp_path, accuracy):
    """And of a Space that computes with the original, how good that is."""
    trained = trained_stage(with_network)
    native = trained.stage.read_metrics().test.accuracy
    form = {"accuracy": native if accuracy is None else accuracy, "num_examples": 12}
    (with_network / "export" / "formats.json").write_text(json.dumps({"onnx": form}))
    config = json.loads((with_network / "export" / "config.json").read_text())
    (with_network / "export" / "config.json").write_text(json.dumps({**config, "head_divided_by": 1.5}))
    for sdk in ("static", "gradio"):
        (tmp_path / sdk).mkdir()
    write_space(tmp_path / "static", trained, "static", REPO, None)
    about = json.loads((tmp_path / "static" / "space.json").read_text())
    write_space(tmp_path / "gradio", trained, "gradio", REPO, None)
    of_app = json.loads((tmp_path / "gradio" / "space.json").read_text())["facts"]
    if accuracy is None:
        assert about["facts"] == of_app
    else:
        start, end = about["facts"].split(" by the network of this page, ")
        assert start.endswith("of 12 test images right") and end.endswith(" by the original.")
        assert "25" in start and "network of this page" not in of_app
    assert "scores are calibrated" in about["note"]


def test_a_gradio_space_needs_no_onnx(push, hub, stage):
    done = push("--space", "gradio")
    assert done.status == 0, done.err
    there = space_of(hub)
    assert {"app.py", "requirements.txt", "README.md", "space.json", "model/model.safetensors"} <= set(there)
    assert there["model/model.safetensors"] == on_hub(hub)["model.safetensors"]
    card = SpaceCard(there["README.md"].decode()).data
    assert (card.sdk, card.app_file, card.models) == ("gradio", "app.py", [REPO]) and card.sdk_version


@pytest.mark.slow
def test_the_app_of_a_gradio_space_answers_as_pipeline_does(push, hub, stage, pictures, tmp_path):
    client = pytest.importorskip("gradio_client")
    assert push("--space", "gradio").status == 0
    for path, content in space_of(hub).items():
        (tmp_path / "space" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "space" / path).write_bytes(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
    app = subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path / "space", env=environment)
    try:
        until = time.monotonic() + 60
        while app.poll() is None and time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        page = client.Client(f"http://127.0.0.1:{port}", verbose=False)
        classify = pipeline("image-classification", model=str(stage / "model"), device="cpu")
        for path in pictures[:3]:
            answer = page.predict(client.handle_file(path), api_name="/predict")
            truth = {item["label"]: item["score"] for item in classify(str(path))}
            assert {item["label"]: item["confidence"] for item in answer["confidences"]} == pytest.approx(
                truth, abs=1e-6
            )
    finally:
        app.terminate()
        app.wait(20)


def test_what_others_wrote_in_the_space_stays(push, hub, with_network):
    push("--space", "static")
    space = hub.repository(REPO, "space")
    space.commit("main", "alice", "Update README.md", {"README.md": File(b"---\nsdk: static\n---\nmine\n")})
    space.commit("main", "alice", "notes", {"notes.txt": File(b"mine"), "page.js": File(b"changed")})
    done = push("--space", "static")
    assert done.status == 0 and "was edited on the Hub and stays" in done.err
    there = space_of(hub)
    assert there["README.md"].endswith(b"mine\n") and there["notes.txt"] == b"mine" and there["page.js"] != b"changed"


def test_a_dry_run_sends_nothing(push, hub, with_network):
    done = push("--space", "static", "--dry-run")
    assert done.status == 0 and done.summary["space"]["commit"] is None and hub.store.repositories == {}


def test_the_quantized_network_comes_first(tmp_path):
    trained = Trained(tmp_path / "model", None, tmp_path)
    with pytest.raises(InputError, match="needs the model as ONNX"):
        network_of(trained)
    (tmp_path / "onnx").mkdir()
    for name, dtype in (("model", "fp32"), ("model_quantized", "q8")):
        (tmp_path / "onnx" / f"{name}.onnx").touch()
        assert network_of(trained) == dtype


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("pictures"), []
    for index in range(200):
        draw = np.random.default_rng(index)
        height, width = draw.integers(8, 60, 2)
        pixels = draw.integers(0, 256, (height, width, 3)) * draw.random(3)
        paths.append(folder / f"{index}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    (folder / "list.json").write_text(json.dumps([str(path) for path in paths]))
    return paths


@pytest.fixture(scope="module")
def expected(trained, network, pictures):
    """The scores of Python with the same network, for the pixels of the model's own image processor."""
    processor = AutoImageProcessor.from_pretrained(trained / "finetune" / "model")
    pixels = processor(images=[Image.open(path) for path in pictures], return_tensors="np")["pixel_values"]
    return softmax(onnxruntime.InferenceSession(network).run(None, {"pixel_values": pixels})[0], axis=1)


def check(scores, expected) -> None:
    scores = np.array(scores)
    assert np.abs(scores - expected).max() <= RESIZE_DIFFERENCE
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > RESIZE_DIFFERENCE
    assert clear.mean() > 0.5
    assert (scores.argmax(axis=1) == expected.argmax(axis=1))[clear].all()


def test_the_page_answers_in_a_browser_as_python_does(push, hub, with_network, pictures, expected):
    skip_without_browser()
    skip_without_node("@huggingface/transformers", "onnxruntime-web")
    assert push("--space", "static", "--public").status == 0
    place = f"{hub.url}/spaces/{REPO}/resolve/main/index.html"
    seen = run_script("space.mjs", place, 360, pictures[0].parent / "list.json")
    check(seen["scores"], expected)
    assert seen["faults"] == [] and seen["overflow"] <= 0
    assert all(url.startswith("https://cdn.jsdelivr.net/npm/") for url in seen["elsewhere"])
    assert "cannot be classified" in seen["message"] and "%" in seen["answer"]
    assert REPO in seen["text"]


def test_node_opens_the_exported_folder(with_network, pictures, expected):
    skip_without_node("@huggingface/transformers")
    from hf_cifar.hub.space import build
    from hf_cifar.hub.space.steps import page_steps

    export = with_network / "export"
    steps = page_steps(json.loads((export / "preprocessor_config.json").read_text()))
    arguments = (export.parent, "export", "fp32", build.Path(build.__file__).parent, json.dumps(steps))
    answers = run_script("compare.mjs", *arguments, pictures[0].parent / "list.json")
    check(softmax(np.array(answers["ours"]), axis=1), expected)
    assert np.isfinite(answers["stock"]).all()
