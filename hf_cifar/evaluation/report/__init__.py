"""The HTML report of a stage."""
