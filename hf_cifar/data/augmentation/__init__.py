"""Augmentation of whole batches, with draws that depend on the seed, the epoch and the image alone."""
