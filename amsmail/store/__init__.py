"""Floor 2: what lies on disk: drop boxes, the outbound queue, what was fetched already, and what makes bytes safe."""
