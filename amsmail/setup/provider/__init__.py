"""Mail providers: those known by name, those found by DNS, and trying relay and accounts."""
