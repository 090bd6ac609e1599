"""The store: the one place that knows what has been made. Everything is named by content and checked on read."""

from hierflow.store.set_store import SetStore

__all__ = ["SetStore"]
