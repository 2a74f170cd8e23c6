"""Engines: what puts transactions in order and keeps them. ``tclearn.ledger`` itself never imports one."""
