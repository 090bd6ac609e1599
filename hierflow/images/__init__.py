"""What a run leaves for people: PNG files with provenance, their manifest and history, a gallery, contact sheets."""

from hierflow.images.changes import Changes, compare
from hierflow.images.contact_sheet import contact_sheet
from hierflow.images.dendrogram import dendrogram
from hierflow.images.gallery import Saving, render_gallery
from hierflow.images.history import Moment, Version, history_bytes, read_history, updated
from hierflow.images.history_page import render_history
from hierflow.images.manifest import (
    MANIFEST_COLUMNS,
    ImageRow,
    Latents,
    build_manifest,
    manifest_bytes,
    read_manifest,
)
from hierflow.images.names import image_name, slug
from hierflow.images.png import decode_png, encode_png, read_provenance
from hierflow.images.thumbnails import LIGHT, Thumbnails

__all__ = [
    "LIGHT",
    "MANIFEST_COLUMNS",
    "Changes",
    "ImageRow",
    "Latents",
    "Moment",
    "Saving",
    "Thumbnails",
    "Version",
    "build_manifest",
    "compare",
    "contact_sheet",
    "decode_png",
    "dendrogram",
    "encode_png",
    "history_bytes",
    "image_name",
    "manifest_bytes",
    "read_history",
    "read_manifest",
    "read_provenance",
    "render_gallery",
    "render_history",
    "slug",
    "updated",
]
