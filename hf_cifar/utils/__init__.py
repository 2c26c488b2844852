"""Files, processes, progress, network, device."""
