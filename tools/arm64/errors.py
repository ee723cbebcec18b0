"""What can go wrong with the proof, in words for whoever called it."""

from __future__ import annotations


class ProofFailed(Exception):
    """A step did not do what it should, or the machine cannot emulate."""
