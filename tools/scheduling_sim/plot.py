"""The scaling as a picture: an SVG written by hand, so that nothing needs to be installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log2

from tools.scheduling_sim.scale import Cell

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 120, 28, 48
COLOURS = ("#555555", "#1f77b4", "#2ca02c", "#ff7f0e", "#d62728")
MOST_FPS = 5.5
LABEL_HEIGHT = 15


def scaling_svg(cells: Iterable[Cell]) -> str:
    """Return frames a second a camera over the number of cameras, a line a number of sticks."""
    cells = list(cells)
    cameras = sorted({cell.cameras for cell in cells})
    sticks = sorted({cell.sticks for cell in cells})
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(cameras),
    ]
    curves = [
        sorted((cell for cell in cells if cell.sticks == number), key=lambda one: one.cameras)
        for number in sticks
    ]
    for curve in curves:
        lines += _curve(curve, cameras)
    lines += _labels([curve[-1] for curve in curves])
    return "\n".join([*lines, "</svg>", ""])


def _axes(cameras: Sequence[int]) -> list[str]:
    ends = WIDTH - RIGHT
    lines = [_text((LEFT + ends) / 2, HEIGHT - 10, "cameras at 5 fps", "middle")]
    lines.append(_text(LEFT, 16, "frames a second that are looked at, a camera", "start"))
    for fps in range(6):
        y = _y(fps)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{ends}" stroke="#ddd"/>')
        lines.append(_text(LEFT - 8, y + 4, str(fps), "end"))
    below = HEIGHT - BOTTOM + 18
    lines += [_text(_x(count, cameras), below, str(count), "middle") for count in cameras]
    return lines


def _curve(cells: Sequence[Cell], cameras: Sequence[int]) -> list[str]:
    colour = _colour(cells[0])
    points = [(_x(cell.cameras, cameras), _y(cell.figures.mean_fps)) for cell in cells]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    lines = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for cell, (x, y) in zip(cells, points, strict=True):
        fill = "white" if cell.rung else colour  # hollow: a smaller pack stands in
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"/>')
    return lines


def _labels(last_cells: Sequence[Cell]) -> list[str]:
    """Name each curve at its end, one below the other where curves end together."""
    lines, lowest = [], 0.0
    for cell in sorted(last_cells, key=lambda one: (-one.figures.mean_fps, -one.sticks)):
        lowest = max(_y(cell.figures.mean_fps) + 4, lowest + LABEL_HEIGHT)
        plural = "s" * (cell.sticks > 1)
        label = f"{cell.sticks} stick{plural} + CPU" if cell.sticks else "CPU alone"
        lines.append(_text(WIDTH - RIGHT + 4, lowest, label, "start", _colour(cell)))
    return lines


def _colour(cell: Cell) -> str:
    return COLOURS[cell.sticks % len(COLOURS)]


def _x(cameras: int, all_cameras: Sequence[int]) -> float:
    span = log2(all_cameras[-1] / all_cameras[0]) or 1.0
    return LEFT + 16 + log2(cameras / all_cameras[0]) / span * (WIDTH - LEFT - RIGHT - 32)


def _y(fps: float) -> float:
    return HEIGHT - BOTTOM - fps / MOST_FPS * (HEIGHT - TOP - BOTTOM)


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
