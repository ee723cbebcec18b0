"""Proves Dockerfile.arm64 without a container engine: its own lines, in an emulated arm64 root.

`dockerfile.py` reads it, `build.py` carries it out, `emulation.py` runs what it says to run,
`trial.py` uses what came out. `make arm64` calls it; docs/guide/container.md tells what for.
"""
