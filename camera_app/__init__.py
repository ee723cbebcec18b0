"""camera_app: a smart camera that is its own computer.

Read `docs/architecture.md` for the rooms and which may import which.
"""

__version__ = "0.1.0"
