"""Run the command line: `python -m hf_cifar` is `hf-cifar`, for `torchrun -m` too."""

import sys

from hf_cifar.cli import main

# Loader processes that are spawned import this file again.
if __name__ == "__main__":
    sys.exit(main())
