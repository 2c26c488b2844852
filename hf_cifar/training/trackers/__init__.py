"""Experiment trackers that keep what they log with the run."""
