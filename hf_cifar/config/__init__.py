"""Options of a run: fields, parts, recipes, and what their names stand for."""
