"""The view on a terminal: drawn in place, with keys. Whatever ends it, the terminal is as it was."""

from __future__ import annotations

import contextlib
import curses
import locale
import queue
import signal
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

from pasarela_client.top.layout import KEYS, Line, Span, Style, Wishes, format_lines, page
from pasarela_client.top.rows import SORTS, choose
from pasarela_client.top.watch import View

_PATIENCE_MS: Final = 100
_QUIT: Final = frozenset({ord("q"), ord("Q")})


def usable() -> bool:
    """Whether this terminal can be drawn on."""
    try:
        curses.setupterm()
    except curses.error:
        return False
    return bool(curses.tigetstr("cup") and curses.tigetstr("clear"))


class Screen:
    """Shows the newest view until the user has enough."""

    def __init__(
        self, *, names: Sequence[str], busy: bool, sort: str, reverse: bool, stages: bool, every_s: float, colour: bool
    ) -> None:
        """Prepares it without touching the terminal.

        Args:
            names: Shell patterns of the models that are wanted; none: all.
            busy: Whether only versions are shown that did anything.
            sort: One of `SORTS`.
            reverse: The other way round.
            stages: Whether every stage is told.
            every_s: How often it is looked.
            colour: Whether colours may be used.
        """
        self._names = names
        self._busy = busy
        self._sort = sort
        self._reverse = reverse
        self._stages = stages
        self._every_s = every_s
        self._colour = colour
        self._offset = 0
        self._looks: dict[Style, int] = {}

    def run(self, views: queue.SimpleQueue[View | BaseException]) -> None:
        """Draws until the user quits. The terminal must be `usable`.

        Args:
            views: What there is to show, newest last; an exception ends it.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            BaseException: What came instead of a view.
        """
        with _terminal() as window:
            self._prepare_looks()
            view: View | None = None
            while True:
                drawn = view
                with contextlib.suppress(queue.Empty):
                    while True:
                        item = views.get_nowait()
                        if isinstance(item, BaseException):
                            raise item
                        view = item
                key = window.getch()
                if key in _QUIT:
                    return
                if key == curses.KEY_RESIZE:
                    window.clearok(True)  # terminals differ in what they leave standing
                if self._react(key) or view is not drawn:
                    self._draw(window, view)

    def _react(self, key: int) -> bool:
        """Does what a key says; whether there is something to draw."""
        if key == ord("s"):
            self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        elif key == ord("r"):
            self._reverse = not self._reverse
        elif key == ord("d"):
            self._stages = not self._stages
        elif key == ord("b"):
            self._busy = not self._busy
        elif key in {curses.KEY_DOWN, ord("j")}:
            self._offset += 1
        elif key in {curses.KEY_UP, ord("k")}:
            self._offset -= 1
        else:
            return key == curses.KEY_RESIZE
        return True

    def _draw(self, window: curses.window, view: View | None) -> None:
        if view is None:
            return
        height, width = window.getmaxyx()
        rows = choose(view.rows, names=self._names, busy=self._busy, sort=self._sort, reverse=self._reverse)
        wishes = Wishes(self._sort, self._reverse, self._stages, self._every_s)
        lines, self._offset = page(format_lines(view, rows, wishes, width), height - 1, self._offset)
        window.erase()
        for number, line in enumerate(lines):
            self._draw_line(window, number, line)
        self._draw_line(window, height - 1, (Span(KEYS[: max(0, width - 1)], Style.QUIET),))
        window.refresh()

    def _draw_line(self, window: curses.window, number: int, line: Line) -> None:
        column = 0
        for span in line:
            with contextlib.suppress(curses.error):  # the last place of the last line, or a terminal that just shrank
                window.addstr(number, column, span.text, self._looks.get(span.style, 0))
            column += len(span.text)

    def _prepare_looks(self) -> None:
        self._looks = {Style.TITLE: curses.A_BOLD, Style.HEADING: curses.A_REVERSE}
        if not (self._colour and curses.has_colors()):
            self._looks |= {Style.BAD: curses.A_BOLD, Style.WARNING: curses.A_BOLD}
            return
        curses.start_color()
        curses.use_default_colors()
        curses.init_pair(1, curses.COLOR_RED, -1)
        curses.init_pair(2, curses.COLOR_YELLOW, -1)
        self._looks |= {
            Style.BAD: curses.color_pair(1),
            Style.WARNING: curses.color_pair(2),
            Style.QUIET: curses.A_DIM,
        }


@contextlib.contextmanager
def _terminal() -> Iterator[curses.window]:
    """The alternate screen, each key at once, no cursor; what was there before comes back in any case."""
    locale.setlocale(locale.LC_CTYPE, "")
    before = signal.signal(signal.SIGTERM, _end)
    window = curses.initscr()
    try:
        curses.noecho()
        curses.cbreak()
        window.keypad(True)
        window.timeout(_PATIENCE_MS)
        with contextlib.suppress(curses.error):
            curses.curs_set(0)
        yield window
    finally:
        signal.signal(signal.SIGTERM, before)
        window.keypad(False)
        curses.nocbreak()
        curses.echo()
        curses.endwin()


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
