"""The steps of the workshop, one module each, in the order in which they are usually taken.

A step has `configure(subparsers)` and `run(arguments) -> int`, as the camera's own commands do.
"""

STEPS: tuple[str, ...] = (
    "prepare",
    "train",
    "distill",
    "prune",
    "convert",
    "quantize",
    "lint",
    "evaluate",
    "benchmark",
    "compare",
    "card",
    "pack",
    "sign",
)
