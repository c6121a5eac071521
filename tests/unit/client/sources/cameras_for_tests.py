"""Cameras that a test plays: one speaks RTSP, one sends JPEG files by HTTP as most cheap ones do."""

from __future__ import annotations

import itertools
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np

from tests.unit.client.recordings import Pixels

_CLOCK_HZ = 90_000
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n"
)


class TestCamera:
    """Accepts connections, one after the other, and sends the pictures of a connection's plan."""

    __test__ = False

    def __init__(self, picture: Callable[[int], Pixels], plans: list[int | None], *, fps: int = 25) -> None:
        """Listens on a free port.

        Args:
            picture: Makes the picture with this number; numbers go on from one connection to the next.
            plans: For each connection, after how many pictures it breaks; None goes on until the camera is stopped, 0
                accepts and then says nothing. After the last plan, the camera is gone.
            fps: How many pictures a second.
        """
        self._picture = picture
        self._numbers = itertools.count()
        self._plans = plans
        self._fps = fps
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Drops who is connected; nobody answers any more."""
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        for plan in self._plans:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(ConnectionError):
                self._talk(connection, plan)
        self._listener.close()

    def _talk(self, connection: socket.socket, plan: int | None) -> None:
        raise NotImplementedError

    def _pictures(self, plan: int | None) -> Iterator[Pixels]:
        if plan == 0:
            self._stopped.wait()
        for _ in itertools.count() if plan is None else range(plan):
            if self._stopped.wait(1 / self._fps):
                return
            yield self._picture(next(self._numbers))


class RtspCamera(TestCamera):
    """Speaks RTSP, with RTP inside its connection; every fifth picture stands alone."""

    @property
    def url(self) -> str:
        """With a password in it."""
        return f"rtsp://user:secret@127.0.0.1:{self.port}/live"

    def _talk(self, connection: socket.socket, plan: int | None) -> None:
        with connection.makefile("rb") as requests:
            while True:
                method, number = self._next_request(requests)
                if not method:
                    return
                extra, body = "", ""
                if method == "OPTIONS":
                    extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                elif method == "DESCRIBE":
                    extra, body = f"Content-Type: application/sdp\r\nContent-Length: {len(_SDP)}\r\n", _SDP
                elif method == "SETUP":
                    extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
                connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{extra}\r\n{body}".encode())
                if method == "PLAY":
                    self._play(connection, plan)
                    return

    def _next_request(self, requests: Any) -> tuple[str, str]:
        lines: list[str] = []
        for line in requests:
            if not line.strip():
                break
            lines.append(line.decode())
        if not lines:
            return "", ""
        self.requests.append(lines[0].strip())
        number = re.search(r"CSeq: (\d+)", "".join(lines))
        return lines[0].split()[0], number[1] if number else "0"

    def _play(self, connection: socket.socket, plan: int | None) -> None:
        encoder: Any = None
        sequence = 0
        for index, pixels in enumerate(self._pictures(plan)):
            if encoder is None:
                encoder = _encoder(pixels)
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24")
            picture.pts = index
            units = [
                unit for packet in encoder.encode(picture) for unit in re.split(b"\0\0\0?\1", bytes(packet)) if unit
            ]
            for unit in units:
                last = unit is units[-1]
                head = struct.pack(">BBHII", 0x80, 96 | last << 7, sequence, index * _CLOCK_HZ // self._fps, 7)
                sequence = (sequence + 1) % 65536
                connection.sendall(b"$\0" + struct.pack(">H", len(head + unit)) + head + unit)


class HttpCamera(TestCamera):
    """Sends JPEG files as parts of one endless answer."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/stream"

    def _talk(self, connection: socket.socket, plan: int | None) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n")
        for pixels in self._pictures(plan):
            content = jpeg(pixels)
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            connection.sendall(head.encode() + content + b"\r\n")


@contextmanager
def playing(camera: TestCamera) -> Iterator[Any]:
    """Stops the camera at the end."""
    try:
        yield camera
    finally:
        camera.stop()


def jpeg(pixels: Pixels) -> bytes:
    """A JPEG file of the picture."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=95)
    return file.getvalue()


def _encoder(pixels: Pixels) -> Any:
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.gop_size = "yuv420p", Fraction(1, 25), 5
    encoder.options = {"tune": "zerolatency", "x264-params": "repeat-headers=1:annexb=1"}
    return encoder
