"""Outside frameworks that start what is here, or are told of it: a file for each."""
