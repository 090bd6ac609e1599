"""How good the images are, beside others that are made to compare; tau found by that."""
