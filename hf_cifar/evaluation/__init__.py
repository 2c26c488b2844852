"""What a model is worth: metrics from one pass of predictions."""
