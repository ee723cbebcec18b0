"""The demo: a made scene with known truth, a broker for it, and what a subscriber hears."""

from camera_app.demo.film import Film, Visit, make_film

__all__ = ["Film", "Visit", "make_film"]
