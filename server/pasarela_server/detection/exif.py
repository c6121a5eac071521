"""The one thing that serving needs from EXIF: how the picture was held.

Read by hand, since Pillow's reader warns and raises on the broken EXIF blocks that cameras and editors leave behind.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
import numpy.typing as npt

LYING = frozenset({5, 6, 7, 8})
"""Orientations of images that are stored on their side: height and width change places."""
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_EXIF_PREFIX = b"Exif\0\0"
_MARKERS_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE, _APP1, _PADDING = 0xDA, 0xD9, 0xE1, 0xFF


def jpeg_exif(data: bytes | memoryview) -> bytes:
    """The TIFF block of a JPEG's EXIF segment; empty if it has none."""
    view = memoryview(data)
    at = 2
    while at + 4 <= len(view) and view[at] == _PADDING:
        marker = view[at + 1]
        if marker == _PADDING:
            at += 1
            continue
        if marker in _MARKERS_WITHOUT_LENGTH:
            at += 2
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        length = int.from_bytes(view[at + 2 : at + 4], "big")
        if marker == _APP1 and bytes(view[at + 4 : at + 10]) == _EXIF_PREFIX:
            return bytes(view[at + 10 : at + 2 + length])
        at += 2 + length
    return b""


def orientation(tiff: bytes) -> int:
    r"""The EXIF orientation, 1 to 8; 1 (upright) if the block has none or is broken.

    Args:
        tiff: The EXIF block, with or without its leading `Exif\0\0`.
    """
    tiff = tiff.removeprefix(_EXIF_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turns a stored image (h, w, 3) the way it is meant to be seen.

    Args:
        image: The pixels as stored.
        orientation: 1 to 8, as EXIF counts.
    """
    match orientation:
        case 2:
            turned = cv2.flip(image, 1)
        case 3:
            turned = cv2.rotate(image, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(image, 0)
        case 5:
            turned = cv2.transpose(image)
        case 6:
            turned = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(image), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return image
    return np.asarray(turned, np.uint8)
