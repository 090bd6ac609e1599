"""The way of the data, a file a stage: prompts, embeddings, plan, latents, images, image set.

Both fronts call these functions: :func:`hierflow.generate`, without Dagster, and the assets.
"""
