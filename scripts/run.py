"""Run a stage: python scripts/run.py --stage probe --recipe demo."""

import sys

from hf_cifar.cli import main

sys.exit(main())
