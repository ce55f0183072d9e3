"""Outside frameworks that start what is here: a file for each."""
