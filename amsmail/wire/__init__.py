"""Floor 0: the values of the protocols.  Pure functions and frozen values; nothing here does I/O."""
