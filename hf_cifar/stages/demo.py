"""`--stage demo`: a local page that classifies images and the camera's, until Ctrl-C."""

import time
from dataclasses import dataclass
from typing import Any

from hf_cifar.demo.server import LOOPBACK, address_of, open_socket, serving
from hf_cifar.demo.shown_model import ShownModel
from hf_cifar.errors import Interrupted
from hf_cifar.run.request import Request
from hf_cifar.stages.export import refuse_several_processes
from hf_cifar.utils import interruption
from hf_cifar.utils.progress import say


@dataclass(frozen=True)
class DemoResult:
    """The outcome of `--stage demo`.

    Attributes:
        url: where the page was.
        models: that answered.
        seconds: for which it was served.
    """

    url: str
    models: list[str]
    seconds: float

    @property
    def status(self) -> int:
        """Return the exit status of the command line: 0, since Ctrl-C is how a page ends."""
        return 0

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output."""
        return {"stage": "demo", "url": self.url, "models": self.models, "seconds": self.seconds}


def run_demo(request: Request) -> DemoResult:
    """Serve the page of one model, or of several side by side, until a signal comes.

    Raises:
        InputError: the port is in use, or a model cannot be loaded.
    """
    refuse_several_processes("demo")
    host, use_cpu = request.config.demo.host, request.config.use_cpu
    with open_socket(host, request.config.demo.port) as opened:
        models = [ShownModel(location, use_cpu=use_cpu) for location in (request.checkpoint, *request.beside)]
        url = address_of(opened, host)
        started = time.perf_counter()
        with serving(models, opened, host) as server:
            say(f"demo of {', '.join(model.name for model in models)}: {url} (Ctrl-C ends it)")
            if host not in LOOPBACK:
                say("note: whoever reaches this address can use the page, and it asks for no password")
            try:
                while server.is_alive():
                    server.join(0.2)
                    interruption.check()
            except Interrupted:
                interruption.forget()
        return DemoResult(url, [model.name for model in models], time.perf_counter() - started)
