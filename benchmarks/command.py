"""The benchmark's command line."""

import argparse
import os
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.figures import NAMES, figure
from benchmarks.machine import Machine, commit, versions
from benchmarks.measuring import FigureError
from benchmarks.report import Report
from benchmarks.setting import Setting

DESCRIPTION = """\
Measure what the package claims about speed and memory, against named baselines.

Both sides of a figure run in turn, after one round that does not count, and their medians are compared; then it is
checked that both computed the same. Weights are random unless --weights names some: they do not change the work.
A Markdown table goes to standard output, and with --output it is written, with every sample, as Markdown and JSON.
The exit status is 1 if a figure could not be measured, or its two sides do not agree; to miss a goal is no error.
"""
CPU_IMAGES, GPU_IMAGES, QUICK_IMAGES = 1_000, 50_000, 96


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    it = argparse.ArgumentParser(
        prog="benchmark.py", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    it.add_argument("--dataset", default="digits", help="as of run.py (default: digits, which ships with scikit-learn)")
    it.add_argument("--weights", default="none", help="of the ResNet-18, as of run.py (default: none, random ones)")
    it.add_argument(
        "--images",
        type=int,
        metavar="N",
        help=f"training images of a figure (default: {CPU_IMAGES:,}; on a GPU {GPU_IMAGES:,}; quick {QUICK_IMAGES}); "
        "of a small dataset four fifths at most",
    )
    it.add_argument("--rounds", type=int, metavar="N", help="rounds that count (default: 5; quick 3)")
    it.add_argument("--image-size", type=int, metavar="PIXELS", help="of the network's input, in every figure")
    it.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where the networks run (default: a GPU where there is one)",
    )
    it.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        metavar="FIGURE",
        help=f"leave out the others: {', '.join(NAMES)} (default: all; gpu only where there is one)",
    )
    it.add_argument("--torch-compile", action="store_true", help="compile both sides of the gpu figure's training")
    it.add_argument("--quick", action="store_true", help="few images, to see in a minute or two that everything runs")
    it.add_argument(
        "--output",
        type=Path,
        metavar="DIR|FILE",
        help="write Markdown and JSON: to DIR/cpu.md and .json (gpu.md on a GPU), or to FILE and its twin",
    )
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it if asked for, and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(arguments)
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # hidden from every library, also in other processes
    # Nothing is looked for on the Hub.
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        # What the package keeps for the next run must not come from an earlier one.
        os.environ["HF_CIFAR_CACHE"] = f"{folder}/cache"
        setting = _setting(options, Path(folder))
        if options.device == "cuda" and not setting.on_gpu:
            parser().error("--device cuda: there is no GPU")
        report = _report(options, setting, arguments)
        begun = time.perf_counter()
        for name in options.only or [name for name in NAMES if name != "gpu" or setting.on_gpu]:
            print(f"{datetime.now():%H:%M:%S} {name}", file=sys.stderr, flush=True)
            _measure(report, name, setting, _alone(arguments, name))
            report.seconds = time.perf_counter() - begun
            if options.output:  # after every figure: an hour's work is not lost by the last one
                report.save(options.output)
    print(report.to_markdown())
    return report.status


def _setting(options: argparse.Namespace, folder: Path) -> Setting:
    setting = Setting(
        dataset=options.dataset,
        weights=options.weights,
        images=options.images or 0,
        rounds=options.rounds or (3 if options.quick else 5),
        side=options.image_size,
        quick=options.quick,
        folder=folder,
        torch_compile=options.torch_compile,
    )
    usual = QUICK_IMAGES if options.quick else GPU_IMAGES if setting.on_gpu else CPU_IMAGES
    return setting if setting.images else replace(setting, images=usual)


def _report(options: argparse.Namespace, setting: Setting, arguments: Sequence[str]) -> Report:
    state, clean = commit()
    settings = {
        "device": setting.device,
        "dataset": options.dataset,
        "weights": "random" if options.weights == "none" else options.weights,
        "images": setting.images,
        "rounds": setting.rounds,
        "image_size": setting.side or "each figure's own",
        "torch_compile": setting.torch_compile,
        "quick": setting.quick,
    }
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Report(now, state, clean, _command(arguments), settings, Machine.here(), versions())


def _measure(report: Report, name: str, setting: Setting, command: str) -> None:
    """Add the rows of a figure, or why it cannot be measured; the others go on."""
    try:
        for row in figure(name)(setting):
            report.rows.append(replace(row, command=command))
    except FigureError as error:
        report.failures[name] = str(error)
    except Exception as error:
        traceback.print_exc()
        report.failures[name] = f"{type(error).__name__}: {error}"


def _command(arguments: Sequence[str]) -> str:
    return shlex.join(["python", "scripts/benchmark.py", *arguments])


def _alone(arguments: Sequence[str], name: str) -> str:
    """Return the command that measures one figure as this one does, without its output."""
    kept: list[str] = []
    skipping = False
    for argument in arguments:
        if argument.startswith("--"):
            skipping = argument.partition("=")[0] in ("--only", "--output")
        if not skipping:
            kept.append(argument)
    return _command([*kept, "--only", name])
