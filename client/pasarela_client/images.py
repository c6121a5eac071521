"""Images in the forms that people hold them in, turned into messages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from pasarela_client.errors import ImageUnreadable, InvalidRequest, PasarelaError
from pasarela_proto import detection_pb2 as pb

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Channels = Literal["RGB", "BGR"]
ImageSource: TypeAlias = "str | Path | bytes | bytearray | memoryview | npt.NDArray[np.uint8] | Picture"
"""A path or `file://` URL, the bytes of an encoded file, an array (height, width, 3) of uint8, or a Pillow image."""

_CHANNELS = {"RGB": pb.RawImage.RGB, "BGR": pb.RawImage.BGR}


def encode_image(image: ImageSource, *, channels: Channels = "RGB") -> pb.Image:
    """Puts an image into a message: files and bytes as they are, arrays and Pillow images as raw pixels.

    Args:
        image: A path or `file://` URL (the file is sent as it is), encoded bytes, an array (height, width, 3) of
            uint8, or a Pillow image, whose EXIF orientation is applied.
        channels: Order of the last axis of an array.

    Raises:
        ImageUnreadable: The file cannot be read.
        InvalidRequest: The image is of no known kind, an array of another shape or type, or cannot be decoded.
    """
    try:
        return _encode(image, channels)
    except PasarelaError:
        raise
    except Exception as error:  # Pillow raises whatever the file made it stumble over
        raise InvalidRequest(f"the image cannot be sent: {type(error).__name__}: {error}") from error


def _encode(image: ImageSource, channels: Channels) -> pb.Image:
    if isinstance(image, np.ndarray):
        return pb.Image(raw=_encode_array(image, channels))
    if is_picture(image):
        return pb.Image(raw=_encode_picture(image))
    return pb.Image(encoded=encoded_bytes(image))


def encoded_bytes(image: ImageSource) -> bytes:
    """The bytes of an encoded image that is given as such or by its path.

    Raises:
        ImageUnreadable: The file cannot be read.
        InvalidRequest: The image is neither.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    raise InvalidRequest(
        f"an image is a path, bytes, an array (height, width, 3) of uint8 or a Pillow image, "
        f"not {type(image).__qualname__}"
    )


def read_image(path: str | Path) -> bytes:
    """The bytes of a file.

    Raises:
        ImageUnreadable: There is no such file, it may not be read, or it is empty; or the URL is of no local file.
    """
    try:
        content = (_local_path(path) if isinstance(path, str) else path).read_bytes()
    except OSError as error:
        raise ImageUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ImageUnreadable(f"cannot read {path!r}: {error}") from error
    if not content:
        raise ImageUnreadable(f"cannot read {path}: the file is empty")
    return content


def _local_path(written: str) -> Path:
    scheme, separator, _ = written.partition("://")
    if not separator or "/" in scheme:
        return Path(written)
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    url = urlsplit(written)
    if scheme.lower() != "file" or url.netloc.lower() not in {"", "localhost"}:
        raise ImageUnreadable(
            f"cannot read {written}: only files of this machine are read (file:///…); fetch it, and give its bytes"
        )
    return Path(url2pathname(url.path))


def is_picture(image: object) -> TypeGuard[Picture]:
    """Whether this is a Pillow image, found out without importing Pillow."""
    kind = getattr(sys.modules.get("PIL.Image"), "Image", None)  # None, too, while another thread imports it
    return kind is not None and isinstance(image, kind)


def check_array(array: npt.NDArray[Any], channels: Channels) -> None:
    """Raises `InvalidRequest` unless the array is (height, width, 3) of uint8 in a known channel order."""
    if channels not in _CHANNELS:
        raise InvalidRequest(f"channels is 'RGB' or 'BGR', not {channels!r}")
    if array.dtype != np.uint8:
        raise InvalidRequest(f"an image array holds uint8 values from 0 to 255, this one {array.dtype}")
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InvalidRequest(f"an image array has the shape (height, width, 3), this one {array.shape}")


def _encode_array(array: npt.NDArray[Any], channels: Channels) -> pb.RawImage:
    check_array(array, channels)
    height, width, _ = array.shape
    return pb.RawImage(height=height, width=width, channels=_CHANNELS[channels], pixels=array.tobytes())


def _encode_picture(picture: Picture) -> pb.RawImage:
    from PIL import ImageOps

    try:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    except OSError as error:
        raise InvalidRequest(f"Pillow cannot decode the image: {error}") from error
    if 0 in upright.size:
        raise InvalidRequest(f"an image has at least one pixel, this one is {upright.width}x{upright.height}")
    return pb.RawImage(height=upright.height, width=upright.width, channels=pb.RawImage.RGB, pixels=upright.tobytes())
