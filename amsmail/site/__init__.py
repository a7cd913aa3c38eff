"""Floor 2: what this site is: mail.cfg, its boxes and passwords, where an address leads, and the log."""
