"""Floor 4: the programs."""
