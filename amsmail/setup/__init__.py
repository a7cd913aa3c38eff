"""Floor 4: setting a site up: dialogues, providers, trials, imports, the doctor, the installer."""
