"""A metric in the layout that `evaluate.load(FOLDER)` reads."""
