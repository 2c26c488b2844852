"""The command line in processes of its own, without the seconds of their imports."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

SERVER = """
import gc, json, os, sys
import {warm}  # the slow part, once for all runs
from hf_cifar.cli import main
gc.freeze()
os.fsync = lambda file: None
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if request["before"]:
            exec(request["before"], dict())
        try:
            code = main(request["arguments"])
        except SystemExit as error:
            code = error.code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""

# For runs whose pictures nobody looks at: they take as long as the training of a tiny model.
NO_PICTURES = """
from hf_cifar.evaluation import artifacts
from hf_cifar.stages import train
artifacts.save_figures = artifacts.write_report = train.augmentation_figure = lambda *args, **kwargs: None
"""


class CommandLine:
    """Runs of the command line, each in a process of its own that is forked from one that has imported everything.

    `warm` names the modules that are imported once, and `environment` is that of the runs.
    """

    def __init__(self, folder: Path, warm: str = "hf_cifar.stages.train", environment: dict | None = None) -> None:
        self.folder, self.prelude = folder, ""
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(warm=warm)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )

    def start(self, *arguments, before: str = "") -> int:
        """Start a run, and return the number of its process; `before` is Python code that is run in it first."""
        request = {
            "arguments": [str(item) for item in arguments],
            "before": self.prelude + before,
            "out": str(self.folder / "out"),
            "err": str(self.folder / "err"),
        }
        for name in ("out", "err"):
            (self.folder / name).write_text("")
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def without_pictures(self) -> "CommandLine":
        """The same, for runs whose pictures nobody looks at."""
        other = copy.copy(self)
        other.prelude = NO_PICTURES
        return other

    def wait(self) -> int:
        """The exit status of the run, negative for a signal that killed it."""
        return os.waitstatus_to_exitcode(int(self.server.stdout.readline()))

    def close(self, seconds: float = 10) -> None:
        """End the server; kill it where it waits for a worker that does not end."""
        self.server.stdin.close()
        try:
            self.server.wait(seconds)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    def run(self, *arguments, before: str = "") -> int:
        self.start(*arguments, before=before)
        return self.wait()

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()
