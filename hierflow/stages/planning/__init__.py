"""From prompts and their embeddings to a plan: a tree is founded, grown or rebuilt, and cut."""
