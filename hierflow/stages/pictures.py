"""Opening image files of the set's folder: what is damaged counts as lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hierflow.images import decode_png
from hierflow.stages.context import Stage


def opened(stage: Stage, path: str) -> npt.NDArray[np.uint8] | None:
    """The pixels of an image file, uint8 (height, width, 3); None if it is damaged.

    Then its file is told of and deleted. What is there is read off listings, so that from then on the image is lost
    for everybody, and whoever needs it next makes it again.

    Args:
        stage: the set.
        path: of the file, relative to the set's folder.

    Raises:
        FileNotFoundError: it is gone.
    """
    files = stage.store.files
    try:
        return decode_png(files.read(path))
    except ValueError as error:
        stage.say(f"{files.url(path)} is damaged ({error}); it is deleted, and made again when it is needed")
        files.delete(path)
        return None
