"""Metric module in the layout that `evaluate.load(FOLDER)` reads."""
