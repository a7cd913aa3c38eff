"""Floor 4: what a site is set up from: the configurations, passwords and mail of other programs."""
