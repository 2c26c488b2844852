"""The parts of a run's configuration, one dataclass a file; every field is a flag. Light: no torch here."""
