"""The loopback Hub, and the command line in an environment that knows no other one."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.command_line import CommandLine
from support.hub.server import LoopbackHub
from support.images import write_images
from support.models import processor, tiny_resnet

TOKEN = "hf_" + "aliceAliceALICE" * 2
REPO = "alice/colours"
# Time as the run sees it: a wait takes none, but the clock goes on by it. Threads wait beside each other.
HURRY = """
import os, threading, time
clock, here, there = time.monotonic, [0.0], dict()
def now():
    if threading.current_thread() is threading.main_thread():
        here[0] = max([here[0], *there.values()])
        there.clear()
    return clock() + here[0]
def sleep(seconds):
    now()
    if threading.current_thread() is threading.main_thread():
        here[0] += seconds
    else:
        there[threading.get_ident()] = there.get(threading.get_ident(), here[0]) + seconds
    with open({log!r}, "a") as file:
        file.write(f"{{seconds}} {{max([here[0], *there.values()])}}" + chr(10))
time.sleep, time.monotonic = sleep, now
os.environ.update({environment!r})
"""

# Of a process that has imported the client already; a user's has it from HF_ENDPOINT.
TO_THE_LOOPBACK = """
import os, huggingface_hub.hf_api, transformers.utils.hub
from huggingface_hub import constants
os.environ.update(HF_ENDPOINT={url!r}, HF_TOKEN={token!r}, HF_HUB_OFFLINE="")
constants.ENDPOINT, constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_XET = {url!r}, False, True
constants.HUGGINGFACE_CO_URL_TEMPLATE = {url!r} + "/{{repo_id}}/resolve/{{revision}}/{{filename}}"
huggingface_hub.hf_api.api.endpoint, transformers.utils.hub._hf_api = {url!r}, None
"""


@pytest.fixture(scope="session")
def server():
    hub = LoopbackHub()
    yield hub
    hub.stop()


@pytest.fixture
def hub(server):
    """An empty Hub where `TOKEN` is alice's, who writes as alice and for the organisation flowers."""
    server.reset()
    server.account(TOKEN, "alice", "flowers")
    return server


def environment(url: str, home: Path, **more: str) -> dict[str, str]:
    """Of a process that knows only the loopback Hub, and no token."""
    known = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    return {
        **known,
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


@dataclass(frozen=True)
class Pushed:
    """What came of one command; `waits` are its single waits, `waited` is how long they would have taken."""

    status: int
    out: str
    err: str
    waits: list[float]
    waited: float

    @property
    def summary(self) -> dict:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that says why there is no result."""
        *before, last = self.err.strip().split("\n")
        assert last.startswith("error: ") and not any(line.startswith("error: ") for line in before), self.err
        assert "Traceback" not in self.err and self.out == ""
        return last


class Line:
    """The command line against the loopback Hub."""

    def __init__(self, server: LoopbackHub, folder: Path) -> None:
        self.home, self.waits = folder / "huggingface", folder / "waits"
        warm = "hf_cifar.stages.push, hf_cifar.hub.card.card, huggingface_hub.repocard, jinja2, pyarrow.dataset"
        self.line = CommandLine(folder, warm, environment(server.url, self.home))

    def __call__(self, *arguments, token: str | None = TOKEN, before: str = "") -> Pushed:
        self.waits.write_text("")
        login = {"HF_TOKEN": token} if token is not None else {}
        first = HURRY.format(log=str(self.waits), environment=login)
        status = self.line.run(*arguments, before=first + before)
        lines = [line.split() for line in self.waits.read_text().splitlines()]
        waits, waited = [float(wait) for wait, _ in lines], max((float(total) for _, total in lines), default=0.0)
        return Pushed(status, self.line.out, self.line.err, waits, waited)


@pytest.fixture(scope="session")
def line(server, tmp_path_factory):
    made = Line(server, tmp_path_factory.mktemp("line"))
    yield made
    made.line.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A run whose fine-tuning is done and exported; it is not opened again, as if that had been done. Copy it."""
    from hf_cifar.config.options.hub import HubConfig
    from hf_cifar.hub import export as module
    from hf_cifar.run.resolve import request_for
    from hf_cifar.stages.train import run_training

    place = tmp_path_factory.mktemp("trained")
    write_images(place / "colours" / "train", 8, seed=1)
    write_images(place / "colours" / "test", 4, seed=2)
    tiny_resnet().save_pretrained(place / "tiny")
    processor(16).save_pretrained(place / "tiny")
    options = {"stage": "lpft", "dataset": str(place / "colours"), "model": str(place / "tiny"), "use_cpu": True}
    options |= {"output_dir": str(place / "run"), "feature_cache": str(place / "cache"), "num_train_epochs": 1}
    run_training(request_for(options.pop("stage"), options))
    stage = place / "run" / "finetune"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "check_predictions", lambda *_: 0.0)
        module.export(module.trained_stage(stage), HubConfig())
    return place / "run"


@pytest.fixture
def stage(trained, tmp_path) -> Path:
    """A fine-tuned stage of one's own."""
    return shutil.copytree(trained, tmp_path / "run") / "finetune"


@pytest.fixture
def push(line, stage):
    """`push("--public")` pushes `stage` to `REPO`."""

    def run(*arguments, repo: str = REPO, **options) -> Pushed:
        return line("--stage", "push", "--checkpoint", stage, "--hub-model-id", repo, *arguments, **options)

    return run
