"""The audit: what a run cost, what sharing saved, and whether the books balance."""
