"""The report in a browser: tables that sort, cells that open, with and without script."""

import pytest
from support.browser import run_script, skip_without_browser
from support.made_up_stage import make_stage

from hf_cifar.evaluation.figures.collection import save_figures
from hf_cifar.evaluation.report.report import write_report


@pytest.mark.slow
def test_in_a_browser(tmp_path):
    skip_without_browser()
    stage = make_stage(tmp_path / "mine", strength=2.0)
    save_figures(stage.folder, stage.metrics, stage.images)
    address = write_report(stage.folder).resolve().as_uri()
    seen = run_script("report.mjs", address, "cell-0-1")
    used, plain, narrow = seen["used"], seen["plain"], seen["narrow"]
    recalls = sorted((one.recall for one in stage.metrics.test.per_class.values()), reverse=True)
    as_numbers = [[float(cell.rstrip("%")) / 100 for cell in used[name]] for name in ("before", "down", "up")]
    for found, expected in zip(as_numbers, (recalls[::-1], recalls, recalls[::-1]), strict=True):
        assert found == pytest.approx(expected, abs=1e-4)
    assert used["names"] == ["ape", "bee", "cat", "dog"] and used["sorted"] == "ascending"
    assert used["closed"] == [] and used["opened"] == ["cell-0-1"]
    assert plain["opened"] == "cell-0-1" and plain["buttons"] == 0
    assert narrow["overflow"] <= 0 and narrow["paper"] == "rgb(20, 23, 27)"
    for visit in seen.values():
        assert visit["faults"] == [] and {place.partition("#")[0] for place in visit["elsewhere"]} <= {address}
