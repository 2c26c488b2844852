"""Figures of training and evaluation, each from typed metrics to one PNG; `registry.py` lists them.

Submodules are imported by name: listing and describing figures takes neither matplotlib nor PyTorch.
"""
