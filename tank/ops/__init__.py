"""Putting Tank on a machine, taking it off again, and telling what a machine lacks.

Called by the command line alone, as root, without a daemon. Nothing here runs while pods are being kept.
"""
