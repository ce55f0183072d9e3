"""Spec → cells: a pure function; every cell has its name before anything runs."""
