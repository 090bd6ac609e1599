"""The mini model: a drawn world of products, and the recipe of the tiny model trained on it."""
