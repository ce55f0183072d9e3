"""What a model computes, as a graph that is followed, and what each operation does to channels."""
