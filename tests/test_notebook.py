"""The notebook of the docs, run from top to bottom."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"


def test_the_notebook_is_kept_without_outputs_and_paths():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if "outputs" in cell)
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\", NOTEBOOK.read_text())


@pytest.mark.slow
def test_the_notebook_runs_offline_and_shows_what_it_says(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(NOTEBOOK.parents[1]), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    # One cell calls transformers itself, which has bars of its own.
    ours = [cell for cell in notebook.cells if "import pipeline" not in cell.source]
    outputs = [output for cell in ours for output in cell.get("outputs", [])]
    streams = [output for output in outputs if output.output_type == "stream"]
    assert {stream.name for stream in streams} == {"stdout"}, "nothing is shown as a fault"
    said = "".join(stream.text for stream in streams)
    assert "best epoch" in said and "Loading weights" not in said and "Device set" not in said
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    for words in ("probe: ", "finetune: ", "evaluate: ", "Worst mistakes", "nothing is finished"):
        assert any(words in page for page in pages), words
    assert not any("images/s" in page for page in pages), "a bar is gone when its stage is done"
    assert (tmp_path / "runs" / "quickstart" / "finetune" / "export" / "README.md").is_file()
