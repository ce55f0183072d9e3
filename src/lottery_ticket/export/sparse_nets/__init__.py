"""Nets that are executed on what they keep, see README.md."""
