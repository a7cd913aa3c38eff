"""Floor 5: the programs."""
