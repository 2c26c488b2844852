"""The benchmark: what the package claims about speed and memory, against named baselines.

`python scripts/benchmark.py` runs it; `docs/performance.md` says how to read what it prints. Its results are kept in
`benchmarks/results`.
"""
