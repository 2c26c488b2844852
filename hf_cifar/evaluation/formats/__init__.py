"""Measure the forms of a model against the native one."""
