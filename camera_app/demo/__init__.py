"""The demo: a made scene with known truth, a broker for it, and what a subscriber hears."""

from camera_app.demo.broker import BrokerAddress, demo_broker, parse_address
from camera_app.demo.film import Film, Visit, make_film
from camera_app.demo.stage import DemoHooks, DemoRequest, DemoResult, run_demo
from camera_app.demo.subscriber import Message
from camera_app.demo.verdict import STANDARDS, ClassVerdict, Verdict, VisitVerdict

__all__ = [
    "STANDARDS",
    "BrokerAddress",
    "ClassVerdict",
    "DemoHooks",
    "DemoRequest",
    "DemoResult",
    "Film",
    "Message",
    "Verdict",
    "Visit",
    "VisitVerdict",
    "demo_broker",
    "make_film",
    "parse_address",
    "run_demo",
]
