"""A masked net as a smaller plain one with the same outputs, see README.md."""
