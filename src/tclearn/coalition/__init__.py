"""The coalition: charter, members, and every pure rule that more than one protocol uses."""
