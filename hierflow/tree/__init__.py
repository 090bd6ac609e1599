"""The embedding tree: agglomerative clustering of prompt embeddings (the paper's Section 3.1)."""

from hierflow.tree.embedding_tree import EmbeddingTree
from hierflow.tree.linkage import LINKAGES

__all__ = ["LINKAGES", "EmbeddingTree"]
