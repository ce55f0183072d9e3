"""Several trainings of one shape as one, see README.md."""
