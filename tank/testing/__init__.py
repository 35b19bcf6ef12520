"""Fakes that Tank ships: they pass the same suites as the real drivers, and have a clock that tests hold."""
