"""Diffusion models: where they lie, how they are identified, and how one step of them is taken."""
