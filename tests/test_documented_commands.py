"""The commands and the code of the first pages, run as they stand there."""

import os
import shlex
import subprocess
import sys

import pytest
from PIL import Image
from support.documented import ALL, PAGES, ROOT, RUN_PAGES, as_run, blocks
from support.images import write_images

RUNNABLE = ("bash", "python")


def test_what_is_not_run_says_why():
    """In the pages that are run, and of the blocks elsewhere that say what language they are in."""
    silent = [
        block.name
        for block in ALL
        if block.language in RUNNABLE and block.page not in RUN_PAGES and not block.mark.startswith("not run: ")
    ]
    assert silent == []
    assert all(len(block.mark) > 20 for block in ALL if block.mark.startswith("not run"))
    assert set(RUN_PAGES) <= set(PAGES)


@pytest.mark.slow
def test_the_first_pages_do_what_they_say(tmp_path):
    photos = write_images(tmp_path / "photos", 30, classes=("cat", "dog"))
    Image.open(photos / "cat" / "1.png").save(photos / "cat" / "1.jpg")
    (photos / "cat" / "1.png").unlink()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("python", []), ("hf-cifar", [str(ROOT / "scripts" / "run.py")])):
        command = shlex.join([sys.executable, *words])
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = []
    for block in (block for page in RUN_PAGES for block in blocks(page)):
        if block.language not in RUNNABLE or block.mark.startswith("not run"):
            continue
        program = ["bash", "-e", "-c"] if block.language == "bash" else [sys.executable, "-c"]
        run = subprocess.run([*program, as_run(block)], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, f"{block.name}: {run.stderr[-2000:]}"
        done.append(block.name)
    assert len(done) >= 7
    assert (tmp_path / "sheet.html").is_file() and (tmp_path / "runs" / "photos" / "finetune" / "report.html").is_file()
