"""Metrics of one pass of predictions, and the figures, reports and comparisons made of them."""
