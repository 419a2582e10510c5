"""Grow any network to a budget while it trains: new channels and blocks that change nothing at first."""
