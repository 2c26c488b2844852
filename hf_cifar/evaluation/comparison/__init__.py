"""Comparison of finished runs: accuracy, cost, and significance of the differences."""
