"""Where cells are executed: what makes one out of its parents, and the processes that do."""
