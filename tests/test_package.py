"""The public names are there, and importing the package loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import hf_cifar


def test_every_public_name_can_be_imported():
    assert all(getattr(hf_cifar, name) is not None for name in hf_cifar.__all__)


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
