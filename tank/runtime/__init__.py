"""Containers: crun under conmon, roots, control groups, streams."""
