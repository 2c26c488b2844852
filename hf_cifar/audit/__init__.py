"""Look into a dataset before anything is trained on it: duplicates, leaks between splits, doubtful labels."""
