"""Speed and strength, measured beside a peer or the bare primitive."""
