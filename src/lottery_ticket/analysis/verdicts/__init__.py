"""The verdict of a run, any two arms or runs beside one another, and whom pruning hurts."""
