"""A real browser for pages that the project makes: what a person would see of them, and what would disturb that person.

`python -m tests.browser PAGE PICTURE` takes the picture of a page, for documents.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from playwright.sync_api import Browser, Page, sync_playwright

Scheme = Literal["light", "dark"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")

_CONTRASTS = """(least) => {
  const parts = (text) => {
    const found = text.match(/^rgba?\\(([^)]+)\\)$/);
    return found ? found[1].split(',').map(Number) : null;
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((one) => {
      const part = one / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour && (colour.length < 4 || colour[3] === 1)) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    const style = getComputedStyle(element);
    const hidden = element.closest('script, style, .tip') || style.visibility === 'hidden' || !element.getClientRects().length;
    if (!words || hidden) continue;
    const ink = parts(style.color);
    const [a, b] = [luminance(ink), luminance(ground(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const pixels = parseFloat(style.fontSize);
    if (contrast < 4.5 || pixels < least) poor.push(`${words.slice(0, 40)}: contrast ${contrast.toFixed(2)}, ${pixels} px`);
  }
  return poor;
}"""


def find_browser() -> str:
    """The program.

    Raises:
        AssertionError: There is none; a test that needs it fails and says what to do.
    """
    named = os.environ.get("PASARELA_BROWSER")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    assert found, "these tests look at pages in Chromium, and there is none: `make browser` installs it"
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        # Root has no sandbox of its own to offer; what is opened are the project's own pages.
        running = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


@dataclass
class Look:
    """One page in one window."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    """What the console said, what scripts raised, and what was asked of anyone but the file."""

    @property
    def width(self) -> int:
        """Of all that there is, in pixels: more than the window's has to be scrolled sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))

    def hard_to_read(self, least_px: float = 11) -> list[str]:
        """Words that are too small, or too near the colour behind them (WCAG's 4.5 to 1)."""
        return list(self.page.evaluate(_CONTRASTS, least_px))


@contextmanager
def opened(running: Browser, path: Path, *, width: int = 1280, scheme: Scheme = "light") -> Iterator[Look]:
    """Opens a file, and watches it until the block is left."""
    context = running.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        look = Look(context.new_page())

        def asked(request: Any) -> None:
            if request.url != path.as_uri() and not request.url.startswith("data:"):
                look.troubles.append(f"asked for {request.url}")

        look.page.on("console", lambda message: look.troubles.append(f"console: {message.type} {message.text}"))
        look.page.on("pageerror", lambda error: look.troubles.append(f"script: {error}"))
        look.page.on("requestfailed", lambda request: look.troubles.append(f"failed: {request.url}"))
        look.page.on("request", asked)
        look.page.goto(path.as_uri())
        yield look
    finally:
        context.close()


def main() -> None:
    """Takes a picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description="Takes the picture of a page.")
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=0, help="0: all of the page")
    parser.add_argument("--scheme", choices=get_args(Scheme), default="light")
    told = parser.parse_args()
    with browser() as running, opened(running, told.page.resolve(), width=told.width, scheme=told.scheme) as look:
        if told.height:
            look.page.set_viewport_size({"width": told.width, "height": told.height})
        look.page.screenshot(path=told.picture, full_page=not told.height)


if __name__ == "__main__":
    main()
