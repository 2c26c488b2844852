"""The demo page of a tiny model, served in this process."""

from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Served:
    """The page: its address, the stage that answers, and the folder of the uploads."""

    url: str
    stage: Path


@pytest.fixture(scope="session")
def served(trained):
    for package in ("gradio", "pytorch_grad_cam"):
        pytest.importorskip(package)
    from hf_cifar.config.locate import locate_checkpoint
    from hf_cifar.demo.server import address_of, open_socket, serving
    from hf_cifar.demo.shown_model import ShownModel

    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR", "GRADIO_SHARE", "GRADIO_SSR_MODE"):
            patch.setenv(name, "")  # restored in the end
        with open_socket("127.0.0.1", 0) as opened:
            models = [
                ShownModel(locate_checkpoint(str(trained / name)), use_cpu=True) for name in ("finetune", "probe")
            ]
            with serving(models, opened, "127.0.0.1"):
                yield Served(address_of(opened, "127.0.0.1"), trained / "finetune")


@pytest.fixture(scope="session")
def client(served):
    from gradio_client import Client

    # Three threads for each prediction: clients of older versions wait for themselves when they run out of threads.
    return Client(served.url, max_workers=200, verbose=False, analytics_enabled=False)
