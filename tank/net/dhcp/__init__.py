"""Addresses from a DHCP server: a client of its own for each interface that asks, and the daemon's side of it."""
