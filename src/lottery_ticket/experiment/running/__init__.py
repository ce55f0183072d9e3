"""Running a plan: which cell is next, where it is made, and what becomes of it."""
