"""Floor 1: the protocol engines.  Bytes in, events and bytes out; no os, socket, time or threads."""
