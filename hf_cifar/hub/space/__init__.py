"""A Space of the Hub that shows a model: a page that classifies in the visitor's browser."""
