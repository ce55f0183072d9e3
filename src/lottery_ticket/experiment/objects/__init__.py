"""What a spec names, as objects: data, models, the layers that are pruned."""
