"""Python processes without the seconds of their imports: forked from one that has imported everything."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
SERVER = """
import gc, json, os, sys
{imports}
gc.freeze()  # or each process would copy all of it, only to look for garbage
os.fsync = lambda file: None
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        print(os.waitpid(request["wait"], 0)[1], flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        break
    print(pid, flush=True)
else:
    os._exit(0)
for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
    os.dup2(os.open(request[name], flags), number)
sys.stdin = open(0)
exec(compile(request["code"], "<test>", "exec"), dict(__name__="__main__"))
"""
IMPORTS = f"""
sys.path.insert(0, {str(TESTS)!r})
import accelerate, hf_cifar.stages.train, support.models
"""


class WarmPython:
    """Runs code as `python -c` does, each in a process of its own that ends as a process of Python ends.

    Args:
        imports: what all of them find imported.
    """

    def __init__(self, imports: str = IMPORTS) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="warm-python-"))
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(imports=imports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started = 0

    def start(self, code: str, stdin: str = "") -> "Process":
        self.started += 1
        files = {name: self.folder / f"{self.started}.{name}" for name in ("in", "out", "err")}
        for file in files.values():
            file.write_text("")
        files["in"].write_text(stdin)
        pid = int(self._ask({"code": code, **{name: str(file) for name, file in files.items()}}))
        return Process(self, pid, files)

    def run(self, code: str, stdin: str = "") -> subprocess.CompletedProcess:
        process = self.start(code, stdin)
        status = process.wait()
        return subprocess.CompletedProcess(code, status, process.out, process.err)

    def _ask(self, request: dict) -> str:
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return self.server.stdout.readline()

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait(10)


class Process:
    """One of the processes of a `WarmPython`."""

    def __init__(self, owner: WarmPython, pid: int, files: dict[str, Path]) -> None:
        self.owner, self.pid, self.files = owner, pid, files

    def wait(self) -> int:
        """The exit status, negative for a signal."""
        return os.waitstatus_to_exitcode(int(self.owner._ask({"wait": self.pid})))

    @property
    def out(self) -> str:
        return self.files["out"].read_text()

    @property
    def err(self) -> str:
        return self.files["err"].read_text()
