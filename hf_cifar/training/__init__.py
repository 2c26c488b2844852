"""Frozen features, heads and the stages that put them together."""
