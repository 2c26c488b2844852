"""LP-FT against plain fine-tuning and the probe alone: runs over sizes and seeds, test sets, tables."""
