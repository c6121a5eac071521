"""Results as pictures and videos: files with the boxes drawn on."""

from pasarela_client.media.saver import Saver
from pasarela_client.media.video_writer import VideoWriter

__all__ = ["Saver", "VideoWriter"]
