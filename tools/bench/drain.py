"""Messages a second acknowledged while a backlog drains: our publisher against bare paho.

Both sides send to the same mosquitto, started here, whose limits are set so that they do not
bind. The bare side is paho alone with the same topics and payload bytes, ready in memory: no
database, no settling. It is tried with several windows, in both ways of driving paho that its
documentation shows (its own thread; our own `loop`), with MQTT 5 and 3.1.1; the three best go
through all rounds, and the best median of those counts. Ours reads the outbox, makes each
payload, sends it with MQTT 5 properties, and takes the row out of the database meanwhile; that
the outbox ends empty on disk is checked.

Rounds are interleaved; the ratio is of the medians, beside it the median of the rounds' own.

Beside the rates: while a backlog drains, something happens every few hundredths of a second, and a
subscriber to `now` says how long after it was handed to the store it hears of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from camera_app.bench.made import made_change
from camera_app.clock import SystemClock
from camera_app.config import MqttSettings, RetentionSettings
from camera_app.publish import Publisher, StateBoard, Topics, ledger_message
from camera_app.store import EventStore, Outbox
from camera_app.values import EventChange
from tools.processes import Broker

DEVICE = "bench"
FRESH_EVERY_S = 0.02
WINDOWS = (20, 100, 500, 1000)
LIMITLESS = """allow_anonymous true
max_inflight_messages 2000
max_queued_messages 0
set_tcp_nodelay true
"""
VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to drive bare paho."""

    version: str
    window: int
    has_own_thread: bool

    def __str__(self) -> str:
        return f"{self.version} window {self.window} {'thread' if self.has_own_thread else 'loop'}"


WAYS = [Way(v, w, t) for v in VERSIONS for w in WINDOWS for t in (False, True)]


def fill(folder: Path, count: int) -> None:
    """Write a backlog of so many changes, an hour old."""
    store = EventStore(folder / "events.db", SystemClock(), RetentionSettings())
    store.start()
    now_ns = time.time_ns() - 3600 * 10**9
    for number in range(1, count + 1):
        last = store.commit([change(number, now_ns)])
    last.wait(60)
    store.stop()


def change(number: int, now_ns: int) -> EventChange:
    """Return the start of one event, so many milliseconds after a wall-clock moment."""
    at_ns = number * 10**6
    return made_change(number, camera="front", at_ns=at_ns, wall_ns=now_ns + at_ns)


def payloads(folder: Path, count: int) -> list[bytes]:
    """Return the bytes that ours will send."""
    outbox = Outbox(folder / "events.db")
    outbox.open()
    rows = outbox.pending(0, count)
    outbox.close()
    return [ledger_message(row, device_id=DEVICE, is_delayed=True) for row in rows]


def ours(folder: Path, port: int, count: int, window: int) -> float:
    """Return messages a second, from the start of the publisher to the last acknowledgement."""
    store = EventStore(folder / "events.db", SystemClock(), RetentionSettings())
    settings = MqttSettings(host="127.0.0.1", port=port, window=window)
    publisher = Publisher(settings, DEVICE, store, StateBoard(), SystemClock())
    store.start()
    try:
        began_s = time.perf_counter()
        publisher.start()
        while publisher.stats().acknowledged < count:
            time.sleep(0.002)
        took_s = time.perf_counter() - began_s
        if not publisher.wait_drained(60):
            raise SystemExit(f"never drained: {publisher.stats()}")
        return count / took_s
    finally:
        publisher.stop()
        store.stop()


class FreshListener:
    """Hears the `now` topic, and when."""

    def __init__(self, port: int) -> None:
        self.heard_s: dict[str, float] = {}  # by event id; written on the client's thread only
        is_subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=VERSIONS["5"])
        self._client.on_subscribe = lambda *_: is_subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(Topics("camera_app", DEVICE).now("front"))
        is_subscribed.wait(10)

    def _hear(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        now_s = time.perf_counter()
        self.heard_s[json.loads(message.payload)["event_id"]] = now_s

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def fresh_delays_s(folder: Path, port: int, count: int, window: int) -> list[float]:
    """Return how long fresh events take to a subscriber while a backlog drains.

    Raises:
        SystemExit: One of them was not heard.
    """
    listener = FreshListener(port)
    store = EventStore(folder / "events.db", SystemClock(), RetentionSettings())
    settings = MqttSettings(host="127.0.0.1", port=port, window=window)
    publisher = Publisher(settings, DEVICE, store, StateBoard(), SystemClock())
    store.start()
    told_s: dict[str, float] = {}
    try:
        publisher.start()
        while store.stats().backlog > count // 20:
            fresh = change(0, time.time_ns())
            told_s[fresh.event.event_id] = time.perf_counter()
            store.commit([fresh])
            time.sleep(FRESH_EVERY_S)
        time.sleep(1.0)
    finally:
        publisher.stop()
        store.stop()
        listener.close()
    missed = told_s.keys() - listener.heard_s.keys()
    if missed or not told_s:
        raise SystemExit(f"{len(missed)} of {len(told_s)} fresh events were not heard")
    return [listener.heard_s[name] - at_s for name, at_s in told_s.items()]


def bare(port: int, topic: str, messages: list[bytes], way: Way) -> float:
    """Return messages a second of paho alone, from connecting to the last acknowledgement."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "bare", protocol=VERSIONS[way.version])
    client.max_inflight_messages_set(0)
    drive = _by_thread if way.has_own_thread else _by_loop
    began_s = time.perf_counter()
    drive(client, port, topic, messages, way.window)
    return len(messages) / (time.perf_counter() - began_s)


def _by_thread(
    client: paho.Client, port: int, topic: str, messages: list[bytes], window: int
) -> None:
    room, is_connected = threading.Semaphore(window), threading.Event()
    client.on_connect = lambda *_: is_connected.set()
    client.on_publish = lambda *_: room.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    is_connected.wait(10)
    for message in messages:
        room.acquire()
        client.publish(topic, message, 1)
    for _ in range(window):
        room.acquire()
    client.disconnect()
    client.loop_stop()


def _by_loop(
    client: paho.Client, port: int, topic: str, messages: list[bytes], window: int
) -> None:
    acknowledged = [0]

    def count(*_: object) -> None:
        acknowledged[0] += 1

    client.on_publish = count
    client.connect("127.0.0.1", port)
    while not client.is_connected():
        client.loop(1.0)
    sent = 0
    while acknowledged[0] < len(messages):
        while sent < len(messages) and sent - acknowledged[0] < window:
            client.publish(topic, messages[sent], 1)
            sent += 1
        client.loop(1.0)
    client.disconnect()


def start_broker(folder: Path) -> Broker:
    """Start a mosquitto without limits that would bind."""
    broker = Broker(folder, LIMITLESS)
    broker.start()
    return broker


def best_way(port: int, topic: str, messages: list[bytes]) -> tuple[list[Way], dict[str, int]]:
    """Return the three best ways to drive bare paho, and the best of two tries of every way."""
    tries = [{way: bare(port, topic, messages, way) for way in WAYS} for _ in range(2)]
    rates = {way: max(one[way] for one in tries) for way in WAYS}
    ranked = sorted(rates, key=lambda way: -rates[way])
    return ranked[:3], {str(way): round(rate) for way, rate in rates.items()}


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(folder: Path, count: int, rounds: int, window: int) -> dict[str, object]:
    broker = start_broker(folder / "broker")
    try:
        full = folder / "full"
        full.mkdir()
        fill(full, count)
        return _measure(folder, full, broker.port, count=count, rounds=rounds, window=window)
    finally:
        broker.stop()


def _measure(
    folder: Path, full: Path, port: int, *, count: int, rounds: int, window: int
) -> dict[str, object]:
    topic = Topics("camera_app", DEVICE).event("front")
    before_kib = peak_kib()
    ours(_copy(full, folder), port, count, window)
    grown_kib = peak_kib() - before_kib  # before anything holds all payloads in memory
    messages = payloads(full, count)
    ways, survey = best_way(port, topic, messages[: max(2000, count // 5)])
    bare_rates: dict[Way, list[float]] = {way: [] for way in ways}
    our_rates: list[float] = []
    for _ in range(rounds):
        our_rates.append(ours(_copy(full, folder), port, count, window))
        for way in ways:
            bare_rates[way].append(bare(port, topic, messages, way))
    delays_s = fresh_delays_s(_copy(full, folder), port, count, window)
    best = max(ways, key=lambda way: statistics.median(bare_rates[way]))
    ours_median = statistics.median(our_rates)
    paired = [our / rate for our, rate in zip(our_rates, bare_rates[best], strict=True)]
    return {
        "backlog": count,
        "payload_bytes": len(messages[0]),
        "ours_per_s": round(ours_median),
        "bare_paho_per_s": round(statistics.median(bare_rates[best])),
        "bare_paho_best": str(best),
        "ratio": round(ours_median / statistics.median(bare_rates[best]), 3),
        "ratio_paired": round(statistics.median(paired), 3),
        "memory_grown_kib": grown_kib,
        "fresh_events": len(delays_s),
        "fresh_p50_ms": round(statistics.median(delays_s) * 1e3, 1),
        "fresh_max_ms": round(max(delays_s) * 1e3, 1),
        "bare_survey_per_s": survey,
    }


def _copy(full: Path, folder: Path) -> Path:
    """Return a fresh copy of the full database."""
    copy = Path(tempfile.mkdtemp(dir=folder))
    shutil.copy(full / "events.db", copy / "events.db")
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=int, default=MqttSettings().window, help="of ours")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to be used")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = measure(Path(folder), arguments.messages, arguments.rounds, arguments.window)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
