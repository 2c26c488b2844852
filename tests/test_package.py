"""The public names are there, and importing the package loads nothing heavy."""

import subprocess
import sys

import hf_cifar


def test_every_public_name_can_be_imported():
    assert all(getattr(hf_cifar, name) is not None for name in hf_cifar.__all__)


def test_importing_the_package_is_light():
    code = "import sys, hf_cifar; assert not {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
