"""What a visitor of the repository reads, against what is there."""

import re
from pathlib import Path

import pytest
import yaml

import hf_cifar

ROOT = Path(__file__).parents[1]
YAML_FILES = [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"]


def test_the_version_is_in_one_place():
    assert "version = attr: hf_cifar.__version__\n" in (ROOT / "setup.cfg").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == hf_cifar.__version__
    assert f"## [{hf_cifar.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_license_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text and text.rstrip().endswith("limitations under the License.")
    assert "hf_cifar/bundled/resnet18-mini" in (ROOT / "NOTICE").read_text()


@pytest.mark.parametrize("path", YAML_FILES, ids=[path.name for path in YAML_FILES])
def test_it_is_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_targets_that_are_named_are_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in (ROOT / "CONTRIBUTING.md", ROOT / "README.md", *ROOT.glob(".github/workflows/*.yml")):
        named = set(re.findall(r"(?:^|`|run: )make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert named <= targets, f"{path.name} names {named - targets}"


def test_the_files_that_the_guide_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:\w+/)+\w+\.\w+)`", text) + re.findall(r"\]\(([\w./-]+)\)", text)
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / "hf_cifar" / name).exists()]
    assert len(named) > 10 and [name for name in missing if "NAME" not in name] == []
