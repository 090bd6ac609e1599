"""What the mini model's pictures are worth: the figures of its card."""
