"""Finished runs side by side: by accuracy, by cost, and by what cannot be chance."""
