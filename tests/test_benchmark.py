"""The benchmark: its arithmetic by hand, its order of measuring, its checks, its files, and one figure throughout."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from benchmarks import command, measuring, stock
from benchmarks.figures import NAMES, figure
from benchmarks.figures.augmentation import every_crop
from benchmarks.figures.probe import close
from benchmarks.machine import Machine
from benchmarks.measuring import Comparison, DifferentResultsError, FigureError, Timed
from benchmarks.report import Report, significant
from benchmarks.row import Goal, Row

ROOT = Path(__file__).parents[1]
ROW = Row(
    figure="input",
    name="input at 224 px",
    baseline="PIL an image",
    kind="faster",
    unit="s",
    ours=[2.0, 1.0, 3.0],
    theirs=[6.0, 10.0, 8.0],
    goal=Goal(">=", 3),
    compared="pixels apart by 0.50",
    command="python scripts/benchmark.py --only input",
)


def report(rows: list[Row], failures: dict[str, str] | None = None) -> Report:
    machine = Machine("EPYC", 2, 2, None, 23.5, "Linux 6")
    versions = {"python": "3.11.7", "torch": "2.14.1"}
    settings = {"device": "cpu", "images": 8, "quick": False}
    found = Report("2026-01-01T00:00:00+00:00", "abc", True, "python scripts/benchmark.py", settings, machine, versions)
    found.rows, found.failures = rows, failures or {}
    return found


class TestRow:
    # Medians 2 and 8.
    @pytest.mark.parametrize(
        ("kind", "number", "unit"),
        [("faster", 4.0, "x"), ("share", 0.25, "x"), ("difference", -6.0, "s"), ("value", 2.0, "s")],
    )
    def test_its_number_is_made_of_the_medians(self, kind, number, unit):
        row = replace(ROW, kind=kind)
        assert (row.number, row.number_unit) == (number, unit)

    @pytest.mark.parametrize(
        ("goal", "met"),
        [(Goal(">=", 4), True), (Goal(">=", 4.1), False), (Goal("<=", 4), True), (Goal("<", 4), False), (None, None)],
    )
    def test_a_goal_is_met_or_not(self, goal, met):
        assert replace(ROW, goal=goal).met is met

    def test_no_goal_is_met_by_another_result(self):
        assert replace(ROW, agrees=False).met is False


class TestMeasuring:
    @staticmethod
    def comparison(**changes) -> Comparison:
        values = {
            "figure": "input",
            "name": "a",
            "baseline": "b",
            "kind": "faster",
            "ours": lambda: Timed(1.0, "same"),
            "theirs": lambda: Timed(5.0, "same"),
            "check": lambda ours, theirs: measuring.require(ours == theirs, "all outcomes"),
        }
        return Comparison(**{**values, **changes})

    def test_both_sides_run_in_turn_and_the_first_round_does_not_count(self):
        order: list[str] = []

        def run(side: str) -> Timed:
            order.append(side)
            return Timed(float(len(order)), side)

        row = self.comparison(
            ours=lambda: run("a"),
            theirs=lambda: run("b"),
            check=lambda *outcomes: str(outcomes),
            sample=lambda s: 10 * s,
        ).measure(2)
        assert order == ["a", "b"] * 3
        assert (row.ours, row.theirs) == ([30.0, 50.0], [40.0, 60.0])
        assert row.compared == str((["a"] * 3, ["b"] * 3))

    def test_seconds_are_those_of_the_run_where_it_measures_none_itself(self, monkeypatch):
        clock = iter([0.0, 1.0, 1.0, 3.0, 10.0, 13.0, 20.0, 24.0])
        monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
        row = self.comparison(ours=list, theirs=list).measure(1)
        assert (row.ours, row.theirs) == ([3.0], [4.0])

    def test_other_results_are_in_the_row_and_meet_nothing(self):
        row = self.comparison(theirs=lambda: Timed(5.0, "other"), goal=Goal(">=", 1)).measure(1)
        assert (row.number, row.agrees, row.met, row.compared) == (5.0, False, False, "all outcomes")

    def test_a_process_that_fails_is_said(self, tmp_path):
        with pytest.raises(FigureError, match="no-such-file"):
            measuring.python(str(tmp_path / "no-such-file.py"))


class TestReport:
    def test_json_keeps_everything(self):
        found = report([ROW, replace(ROW, goal=None, theirs=[], kind="value")], {"gpu": "no GPU"})
        assert Report.from_json(found.to_json()) == found
        row = json.loads(found.to_json())["rows"][0]
        assert (row["number"], row["met"], row["rounds"]) == (4.0, True, 3)
        assert row["ours_spread"] == {"lowest": 1.0, "median": 2.0, "highest": 3.0}

    def test_markdown_has_a_line_for_each_row(self):
        text = report(
            [ROW, replace(ROW, goal=Goal(">=", 5)), replace(ROW, agrees=False)], {"wait": "no number"}
        ).to_markdown()
        spreads = "1.00 / 2.00 / 3.00 s | 6.00 / 8.00 / 10.0 s | 3 |"
        assert f"| input at 224 px | 4.00x | >= 3 | yes | {spreads}" in text
        assert f"| input at 224 px | 4.00x | >= 5 | **no** | {spreads}" in text
        assert "**Not the same**: Pixels apart by 0.50. `python scripts/benchmark.py --only input`" in text
        assert "## Not measured\n\n- wait: no number\n" in text

    def test_changes_that_are_not_committed_are_said(self):
        found = report([ROW])
        assert "not committed" not in found.to_markdown()
        found.clean = False
        assert "commit abc, with changes that are not committed" in found.to_markdown()

    @pytest.mark.parametrize(
        ("rows", "failures", "status"),
        [([ROW], {}, 0), ([replace(ROW, agrees=False)], {}, 1), ([ROW], {"gpu": "none"}, 1)],
    )
    def test_the_exit_status_is_of_the_measuring_and_not_of_the_goals(self, rows, failures, status):
        assert report(rows, failures).status == status
        assert report([replace(ROW, goal=Goal(">=", 99))]).status == 0

    @pytest.mark.parametrize(("output", "stem"), [("results", "results/cpu"), ("a.json", "a"), ("b/c.md", "b/c")])
    def test_both_files_are_written(self, tmp_path, output, stem):
        found = report([ROW])
        paths = found.save(tmp_path / output)
        assert paths == [tmp_path / f"{stem}.json", tmp_path / f"{stem}.md"]
        assert [path.read_text() for path in paths] == [found.to_json(), found.to_markdown()]

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.012345, "0.0123"), (1.0, "1.00"), (12.34, "12.3"), (1234.5, "1,234"), (0.0, "0"), (-2.5, "-2.50")],
    )
    def test_numbers_have_three_digits(self, value, text):
        assert significant(value) == text


class TestChecks:
    def test_features_may_be_apart_by_a_ten_thousandth_of_the_largest(self):
        theirs = np.array([[1.0, 100.0]])
        assert "5.0e-05" in close(np.array([[1.005, 100.0]]), theirs)
        with pytest.raises(DifferentResultsError, match=r"2\.0e-04"):
            close(np.array([[1.02, 100.0]]), theirs)

    def test_every_crop_holds_what_torchvision_draws(self):
        noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        preprocessing = stock.Preprocessing(20, (0.5,) * 3, (0.25,) * 3, Image.Resampling.BILINEAR)
        possible = every_crop(image, preprocessing)
        assert possible.shape == (5 * 5 * 2, 3, 20, 20)  # shifts of -2 to 2, and their mirror images
        draw = v2.Compose([v2.RandomCrop(16, padding=2), v2.RandomHorizontalFlip(), preprocessing.evaluation()])
        torch.manual_seed(0)
        for _ in range(5):
            assert (possible == draw(image)).all((1, 2, 3)).any()


class TestCommand:
    @pytest.fixture(autouse=True)
    def own_environment(self, monkeypatch):
        """Restores what `main` sets for the processes that it starts."""
        for name in ("CUDA_VISIBLE_DEVICES", "HF_CIFAR_CACHE", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
            monkeypatch.setenv(name, "1" if name == "HF_HUB_OFFLINE" else "")

    @pytest.mark.parametrize("name", NAMES)
    def test_every_figure_can_be_imported(self, name):
        assert callable(figure(name))

    def test_a_figure_from_end_to_end(self, tmp_path, capsys):
        sizes = ["--quick", "--device", "cpu", "--images", "8", "--rounds", "1", "--image-size", "16"]
        status = command.main([*sizes, "--only", "augmentation", "--output", str(tmp_path)])
        found = Report.from_json((tmp_path / "cpu.json").read_text())
        assert status == 0, found.failures
        assert [row.agrees for row in found.rows] == [True] * 3
        assert [len(row.ours) for row in found.rows] == [1] * 3
        assert all(row.number > 0 for row in found.rows)
        assert found.rows[0].command == f"python scripts/benchmark.py {' '.join(sizes)} --only augmentation"
        assert found.settings["images"] == 8 and found.versions["torch"] == torch.__version__.partition("+")[0]
        assert capsys.readouterr().out.strip() == (tmp_path / "cpu.md").read_text().strip()

    def test_a_figure_that_fails_does_not_stop_the_others(self, tmp_path, monkeypatch, capsys):
        def broken(setting):
            yield ROW
            raise ZeroDivisionError("by hand")

        def impossible(setting):
            raise FigureError("not here")
            yield ROW

        figures = {"input": broken, "wait": impossible, "probe": lambda setting: iter([ROW])}
        monkeypatch.setattr(command, "figure", figures.__getitem__)
        status = command.main(["--device", "cpu", "--only", *figures, "--output", str(tmp_path / "a.json")])
        found = Report.from_json((tmp_path / "a.json").read_text())
        assert status == 1
        assert found.failures == {"input": "ZeroDivisionError: by hand", "wait": "not here"}
        assert [row.command[-5:] for row in found.rows] == ["input", "probe"]
        assert "ZeroDivisionError" in capsys.readouterr().err

    def test_the_script_is_light_until_it_measures(self):
        code = (
            "import runpy, sys\n"
            "sys.argv = ['benchmark.py', '--help']\n"
            "try: runpy.run_path('scripts/benchmark.py', run_name='__main__')\n"
            "except SystemExit as end: print(end.code, 'torch' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert "--only" in done.stdout and done.stdout.endswith("0 False\n")


@pytest.mark.slow
def test_every_figure_runs(tmp_path):
    arguments = ["--quick", "--device", "cpu", "--images", "64", "--image-size", "32", "--output", str(tmp_path)]
    script = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), *arguments, "--only", *NAMES]
    done = subprocess.run(script, capture_output=True, text=True)
    found = Report.from_json((tmp_path / "cpu.json").read_text())
    assert found.failures == {}, done.stderr
    assert {row.figure for row in found.rows} == set(NAMES)
    assert [row.name for row in found.rows if not row.agrees] == []
    assert done.returncode == 0
