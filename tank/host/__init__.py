"""One file per facility of the kernel."""
