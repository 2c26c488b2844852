"""Prediction for images without labels: find and read them, predict, and write the predictions to files."""
