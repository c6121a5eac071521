"""`pasarela detect` as who watches it sees it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from PIL import Image

from pasarela_proto import detection_pb2 as pb
from tests.terminal import terminal


def test_a_bar_while_it_goes_on_and_the_summary_in_its_place(
    server: Any, service: Any, make_answer: Any, tmp_path: Path
) -> None:
    go_on = threading.Event()

    def wait(request: pb.DetectRequest, context: Any) -> pb.DetectResponse:
        if len(service.requests) > 3:
            go_on.wait(60)
        return make_answer()

    service.detect = wait
    for index in range(8):
        Image.new("RGB", (640, 480)).save(tmp_path / f"{index}.jpg")
    program = [sys.executable, "-m", "pasarela_client", "detect", "--url", server.url, str(tmp_path), "--window", "1"]
    with terminal(program) as screen:
        screen.until("3/8 [")
        assert any("0.jpg  640x480  1 found" in line for line in screen.lines), "results stand above the bar"
        go_on.set()
        lines = screen.until("8 images done in", "found 8 skirt")
        assert not any("/8 [" in line for line in lines), "the bar is gone"
        assert screen.end() == 0
