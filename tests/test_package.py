"""The public names are there, and importing the package loads nothing heavy."""

import ast
import configparser
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import hf_cifar

ROOT = Path(__file__).parents[1]


def test_every_public_name_can_be_imported():
    assert all(getattr(hf_cifar, name) is not None for name in hf_cifar.__all__)


def test_only_the_extra_that_trains_brings_torch():
    """And the extra for serving stays small."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    extras = {name: text.split() for name, text in parser["options.extras_require"].items()}
    base = parser["options"]["install_requires"].split()
    names = {re.split(r"[>=<\[]", line)[0] for line in base + extras["serve"]}
    assert names == {"huggingface_hub", "numpy", "pillow", "pyyaml", "rich", "onnxruntime"}
    assert {"torch>=2.9", "torchvision>=0.24"} <= set(extras["train"])
    assert not {line.partition(">=")[0] for line in extras["train"]} & names


def test_the_lower_bounds_are_those_of_the_base_and_of_every_extra_that_the_tests_need():
    spec = importlib.util.spec_from_file_location("lower_bounds", ROOT / "scripts" / "lower_bounds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bounds = module.lower_bounds((ROOT / "setup.cfg").read_text())
    assert len(bounds) == len(set(bounds))
    names = {bound.partition("==")[0] for bound in bounds}
    assert {"numpy", "torch", "transformers", "onnxruntime", "timm", "pytest"} <= names
    assert all("hf_cifar" not in bound for bound in bounds)


def test_what_a_person_sees_of_the_package():
    """And an editor, which reads no `__getattr__`."""
    assert {"Experiment", "freeze", "__version__"} <= set(dir(hf_cifar))
    assert set(hf_cifar.__all__) == set(hf_cifar._HOME)
    tree = ast.parse(Path(hf_cifar.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert {name.name for node in block.body for name in node.names} == set(hf_cifar.__all__)
    assert Path(hf_cifar.__file__).with_name("py.typed").is_file()


def test_importing_the_package_is_light():
    code = "import sys, hf_cifar; assert not {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
