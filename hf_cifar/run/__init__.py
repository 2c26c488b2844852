"""A request and what a run leaves on disk."""
