"""Stacks as a flame graph: an SVG that holds no script and loads nothing.

Each frame is as wide as its share of the samples, under the frame that called it; frames of one name side by side are
one. Stacks that wait (for a lock, for the disk, for anything to happen) are left out, and so are frames without a name
and those every thread begins with. Colours tell whose code it is: Remit's, another package's, native code.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 1600.0
_ROW: Final = 17
_LEAST: Final = 0.001  # narrower ones are left out
_LETTER: Final = 6.6  # how wide a letter is
_WAITS: Final = re.compile(
    r"PyThread_acquire_lock_timed|pthread_cond_(timed)?wait|epoll_p?wait|fdatasync|take_gil|sem_(clock|timed)?wait"
)
_NOISE: Final = re.compile(
    r"0x[0-9a-f]+ |thread_run |Thread\._bootstrap|Thread\.run |_worker |<module>|_run_module|_run_code"
)
_LINE: Final = re.compile(r":\d+(?=\)$)")
_COLOURS: Final = {"remit": "#e8854a", "python": "#e9c46a", "native": "#9fb8ad"}


class Frame:
    """A function at one place of the picture; `samples` of it and what it calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.samples = 0
        self.calls: dict[str, Frame] = {}


class Box(NamedTuple):
    """A frame as drawn: left edge and width as shares of the whole, and how deep it lies."""

    frame: Frame
    left: float
    width: float
    depth: int


def folded(stacks: str) -> Frame:
    """The tree of stacks as py-spy tells them: `outer;inner COUNT` a line, a frame `function (file)`."""
    root = Frame("all")
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        if _WAITS.search(stack):
            continue
        at = root
        at.samples += int(count)
        for name in map(_plain, filter(None, stack.split(";"))):
            if _NOISE.match(name):
                continue
            at = at.calls.setdefault(name, Frame(name))
            at.samples += int(count)
    return root


def svg(root: Frame, title: str) -> str:
    """The picture."""
    boxes = list(_boxes(root))
    height = (max(box.depth for box in boxes) + 3) * _ROW
    legend = (
        f'<text x="{_WIDTH - 330 + 110 * at}" y="14" fill="{colour}">■ {kind}</text>'
        for at, (kind, colour) in enumerate(_COLOURS.items())
    )
    view = f'viewBox="0 0 {_WIDTH:.0f} {height}" font-family="monospace" font-size="11"'
    said = f'<text x="4" y="14">{escape(title)}: {root.samples:,} samples</text>'
    drawn = (_drawn(box, root.samples) for box in boxes)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
            '<rect width="100%" height="100%" fill="#fffdf8"/>',
            said,
            *legend,
            *drawn,
            "</svg>",
            "",
        )
    )


def shares(root: Frame, depth: int = 1) -> Mapping[str, float]:
    """The frames at a depth, with their shares of the samples."""
    return {box.frame.name: box.width for box in _boxes(root) if box.depth == depth}


def _plain(name: str) -> str:
    """Native code without its line: a loop's many places that call on are one."""
    return name if ".py" in name else _LINE.sub("", name)


def _boxes(root: Frame) -> Iterator[Box]:
    waiting = [Box(root, 0.0, 1.0, 0)]
    while waiting:
        box = waiting.pop()
        yield box
        left = box.left
        for frame in sorted(box.frame.calls.values(), key=lambda frame: frame.name):
            width = frame.samples / root.samples
            if width >= _LEAST:
                waiting.append(Box(frame, left, width, box.depth + 1))
            left += width


def _drawn(box: Box, samples: int) -> str:
    name = escape(box.frame.name)
    x, y, width = box.left * _WIDTH, (box.depth + 1) * _ROW + 6, box.width * _WIDTH
    fits = int((width - 6) / _LETTER)
    short = escape(box.frame.name[:fits]) if fits > 2 else ""
    return (
        f"<g><title>{name}: {box.frame.samples / samples:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.3):.1f}" height="{_ROW - 1}" fill="{_colour(name)}"/>'
        f'<text x="{x + 3:.1f}" y="{y + 12}">{short}</text></g>'
    )


def _colour(name: str) -> str:
    if "remit/" in name:
        return _COLOURS["remit"]
    return _COLOURS["python" if ".py" in name else "native"]
