"""Prompts become conditioning, which is stored, and averaged for the nodes of a tree."""
