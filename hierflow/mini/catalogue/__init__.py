"""The procedural catalogue: a world of five attributes, the prompts that name them, and how it is drawn."""
