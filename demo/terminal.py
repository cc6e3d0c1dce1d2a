"""What the demo shows: a progress bar, tables, small pictures.

Colour and a moving bar only on a terminal (and NO_COLOR is honoured); elsewhere plain lines, so
that the output reads as well in a log.
"""

import os
import shutil
import sys
import time

BAR_CELLS = 32
# How often progress is shown: on a terminal, and as lines of a log.
REDRAW_S = 0.05
LOG_S = 5.0
# Shades of an 8 by 8 image, light to dark on a dark screen.
SHADES = " .:-=+*#%@"


def _colours(stream) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, code: str) -> str:
    """`text` in a colour or weight, given as the number of its escape sequence."""
    return f"\x1b[{code}m{text}\x1b[0m" if _colours(sys.stdout) else text


def heading(text: str) -> None:
    """Starts a part of the output."""
    print(f"\n{paint(text, '1')}", flush=True)


def line(text: str = "") -> None:
    """One line of the output."""
    print(f"  {text}".rstrip(), flush=True)


def verdict(good: bool, text: str) -> None:
    """A line that says whether something is as it should be."""
    mark = paint("ok", "1;32") if good else paint("WRONG", "1;31")
    line(f"{mark}  {text}")


def table(header: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as needed; the first to the left, numbers to the right, notes last."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def laid_out(row: list[str]) -> str:
        first, *numbers, note = row
        rest = [cell.rjust(width) for cell, width in zip(numbers, widths[1:])]
        return "   ".join([first.ljust(widths[0]), *rest, note]).rstrip()

    line(paint(laid_out(header), "2"))
    for row in rows:
        line(laid_out(row))


def duration(seconds: float) -> str:
    """With the unit that suits, three figures or so."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


class Progress:
    """A bar on standard error for `total` steps. Without a terminal: a line now and then."""

    def __init__(self, label: str, total: int):
        self.label, self.total, self.done = label, total, 0
        self.started = self.shown = time.monotonic()
        self.moving = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> "Progress":
        if self.moving:
            self._draw()
        return self

    def advance(self, steps: int) -> None:
        """`steps` more are done."""
        self.done += steps
        now = time.monotonic()
        if now - self.shown < (REDRAW_S if self.moving else LOG_S):
            return
        self.shown = now
        if self.moving:
            self._draw()
        else:
            print(f"  {self.label}: {self.done:,} of {self.total:,}", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        filled = BAR_CELLS * self.done // max(self.total, 1)
        bar = "#" * filled + "-" * (BAR_CELLS - filled)
        if _colours(sys.stderr):
            bar = f"\x1b[32m{'━' * filled}\x1b[2;37m{'━' * (BAR_CELLS - filled)}\x1b[0m"
        rate = self.done / max(time.monotonic() - self.started, 1e-9)
        text = f"\r  {self.label}  {bar}  {self.done:,} of {self.total:,}  {rate:,.0f}/s \x1b[K"
        print(text, end="", file=sys.stderr, flush=True)

    def __exit__(self, *_) -> None:
        if self.moving:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def pictures(images: list[list[float]], captions: list[str]) -> None:
    """8 by 8 images beside each other, as many as fit, with a line of text under each."""
    gap = "    "
    columns = shutil.get_terminal_size((120, 40)).columns - 2
    fitting = max(1, (columns + len(gap)) // (16 + len(gap)))
    images, captions = images[:fitting], captions[:fitting]
    for y in range(8):
        line(gap.join(_picture_row(image[8 * y:8 * y + 8]) for image in images))
    line(gap.join(caption.center(16) for caption in captions))


def _picture_row(pixels: list[float]) -> str:
    if _colours(sys.stdout):
        shades = [232 + round(23 * value / 16) for value in pixels]
        return "".join(f"\x1b[48;5;{shade}m  " for shade in shades) + "\x1b[0m"
    return "".join(SHADES[round(9 * value / 16)] * 2 for value in pixels)
