"""Frozen values: what is wanted, what was seen, what was written down."""
