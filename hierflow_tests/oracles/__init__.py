"""Slow, literal transcriptions that the package's fast code is compared with.

They follow the paper and the conventions below, one node and one row at a time, and import nothing from
`hierflow`. Conventions: K steps, numbered 1..K; phi falls linearly from tau at step 1 to 0 at step K; at a step
with phi = 0 every prompt is alone; a node starts from the state of whichever node served its prompts at the
step before.
"""
