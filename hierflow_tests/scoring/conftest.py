"""The tiny models."""

from hierflow_tests.tiny_models import tiny, tiny_learned

__all__ = ["tiny", "tiny_learned"]
