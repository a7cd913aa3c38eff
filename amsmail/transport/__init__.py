"""Floor 3: streams with deadlines and TLS, the pump that drives an engine over a stream, push and pull."""
