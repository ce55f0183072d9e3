"""What forms of a net cost, measured beside the dense one, see README.md."""
