"""A store that is a folder: what is renamed into place is there, whole."""
