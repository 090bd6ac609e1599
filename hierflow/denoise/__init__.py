"""The frontier loop: many nodes of the tree, one level of steps at a time."""
