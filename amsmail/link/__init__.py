"""Floor 3: links that are brought up and down, and the ledger of calls."""
