"""The demo stage by the command line: what it refuses, and how it ends."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from hf_cifar.cli import parse
from hf_cifar.errors import InputError
from hf_cifar.stages import preflight

pytest.importorskip("gradio")
pytest.importorskip("pytorch_grad_cam")


def test_a_busy_port_is_one_line(command_line, tiny_model):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert command_line.run("--stage", "demo", "--checkpoint", tiny_model, "--port", port) == 2
    assert f"error: --port {port} at 127.0.0.1 cannot be used (address already in use)" in command_line.err
    assert "Traceback" not in command_line.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing(command_line, tiny_model, number):
    process = command_line.start("--stage", "demo", "--checkpoint", tiny_model, "--port", 0, "--use-cpu", True)
    until = time.monotonic() + 60
    while "Ctrl-C ends it" not in command_line.err and time.monotonic() < until:
        time.sleep(0.05)
    url = command_line.err.partition(": http://")[2].split()[0]
    assert "tiny-resnet" in command_line.err and httpx.get(f"http://{url}").status_code == 200
    os.kill(process, number)
    assert command_line.wait() == 0
    done = json.loads(command_line.out)
    assert done["stage"] == "demo" and done["url"] == f"http://{url}" and done["seconds"] > 0
    assert "Traceback" not in command_line.err and command_line.err.endswith(f"http://{url} (Ctrl-C ends it)\n")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{url}")


@pytest.mark.parametrize("package", ["gradio", "pytorch_grad_cam"])
def test_a_missing_package_is_named_before_any_work(tiny_model, monkeypatch, package):
    from hf_cifar.utils import packages

    find = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(InputError, match=rf"^{package} is not installed: pip install 'hf_cifar\[demo\]'$"):
        preflight.check(parse(["--stage", "demo", "--checkpoint", str(tiny_model)]))


def test_several_models_stand_side_by_side(tiny_model, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    request = parse(["--stage", "demo", "--runs", str(tiny_model), str(tmp_path / "other")])
    assert [Path(place.name).name for place in (request.checkpoint, *request.beside)] == [tiny_model.name, "other"]
    with pytest.raises(InputError, match="named twice"):
        parse(["--stage", "demo", "--runs", str(tiny_model), f"{tiny_model}/."])
    with pytest.raises(InputError, match="exclude each other"):
        parse(["--stage", "demo", "--runs", str(tiny_model), "--checkpoint", str(tiny_model)])
    with pytest.raises(InputError, match="no saved model"):
        parse(["--stage", "demo", "--runs", str(tmp_path)])


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_is_a_port(tiny_model, port):
    with pytest.raises(InputError, match="--port"):
        parse(["--stage", "demo", "--checkpoint", str(tiny_model), f"--port={port}"])
    with pytest.raises(InputError, match="--port does nothing with --stage predict"):
        parse(["--stage", "predict", "--checkpoint", str(tiny_model), "--images", "a", "--port", "1"])
