"""Measure what the package claims about speed and memory: python scripts/benchmark.py --output benchmarks/results."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The benchmark is of this checkout, and no part of what is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.command import main

    sys.exit(main())
