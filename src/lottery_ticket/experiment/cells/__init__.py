"""The kinds of cells, a file for each: a frozen record of all that decides it, and its maker."""
