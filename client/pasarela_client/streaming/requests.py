"""The requests of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from pasarela_client.codec import encode_frame, encode_request
from pasarela_client.images import Channels, encode_image
from pasarela_client.options import DetectOptions
from pasarela_client.streaming.entry import Sending
from pasarela_proto import detection_pb2 as pb


@dataclass(frozen=True, slots=True)
class StreamRequests:
    """What all requests of a stream have in common."""

    model: str
    version: str
    options: DetectOptions
    channels: Channels
    """Of arrays that are no `Frame`."""

    def is_at_hand(self, sending: Sending) -> bool:
        """Whether `encode` has nothing to read and little to copy."""
        return isinstance(sending.frame.image, bytes | bytearray | memoryview)

    def encode(self, sending: Sending, request_id: str) -> pb.StreamDetectRequest:
        """The request for one frame.

        Raises:
            InvalidRequest: The frame is no image that can be sent.
        """
        frame = sending.frame
        request = encode_request(
            encode_image(frame.image, channels=frame.channels),
            self.options,
            model=self.model,
            version=self.version,
            request_id=request_id,
            timeout_s=sending.remaining_s,
        )
        return encode_frame(sending.index, request)
