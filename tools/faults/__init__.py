"""Faults of a stick, inflicted on the whole camera while it runs, and what it makes of them."""
