"""Scripts in Node: with transformers.js, and with a headless Chromium."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "node"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# A folder `node_modules` with what the scripts import.
MODULES = Path(os.environ.get("HF_CIFAR_NODE_MODULES", Path(__file__).parents[2] / "node_modules"))


def run_script(name: str, *arguments: object, seconds: float = 120) -> dict:
    """Run a script of `node/`, and return the JSON of the last line that it prints."""
    environment = {**os.environ, "NODE_MODULES": str(MODULES), "CHROMIUM": CHROMIUM or ""}
    command = ["node", str(SCRIPTS / name), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def skip_without_node(*packages: str) -> None:
    """Skip a test where Node, or one of its packages, is not installed."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    for package in packages:
        if not (MODULES / package).is_dir():
            pytest.skip(f"the npm package {package} is not in {MODULES} (HF_CIFAR_NODE_MODULES names another folder)")


def skip_without_browser() -> None:
    """Skip a test where Chromium, or what steers it, is not installed."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    skip_without_node("playwright-core")
