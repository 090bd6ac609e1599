"""A plan's partitions become states, images and scores."""
