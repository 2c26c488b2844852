"""Networks: built from names, files and the Hub, understood, and exported so that they open anywhere."""
