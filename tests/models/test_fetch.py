from __future__ import annotations

import errno
import fcntl
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from camera_app.cli import main
from camera_app.errors import ModelError, PackRejected
from camera_app.models import (
    ModelPack,
    Terms,
    cache_folder,
    fetch,
    find_pack,
    is_in_catalogue,
    locate_weights,
    read_pack,
    transfer,
)
from camera_app.models.fetch import MOST_TRIES, SPARE_BYTES

MakePack = Callable[..., ModelPack]
CONTENT = (0x20).to_bytes(4, "little") + b"TFL3" + bytes(range(256)) * 800
OTHER = CONTENT[:-1] + b"\x01"
LIKE = "vww_96"


@dataclass
class Levers:
    """What a server does to the requests that come, and what it saw of them.

    Attributes:
        content: The file.
        etag: Its tag, with its quotes; empty: none is sent.
        status: The answer's status; 200 becomes 206 where a range is asked for.
        promised: Length that the header promises; None: the true one; -1: none.
        cuts: After how many bytes of the body each of the first answers breaks off.
        changes: Content and tag from the second request on.
        knows_ranges: Whether Range is heeded, and If-Range with it.
        begins_late: A range begins so many bytes later than was asked for.
        retry_after: What the header of that name says.
        location: Where the server leads to.
        stalls: Set: answers come; clear: they wait for it.
        ranges: The header Range of each request, in order; empty where there was none.
    """

    content: bytes = CONTENT
    etag: str = '"one"'
    status: int = 200
    promised: int | None = None
    cuts: list[int] = field(default_factory=list)
    changes: tuple[bytes, str] | None = None
    knows_ranges: bool = True
    begins_late: int = 0
    retry_after: str = ""
    location: str = ""
    stalls: threading.Event = field(default_factory=threading.Event)
    ranges: list[str] = field(default_factory=list)


class FileServer(ThreadingHTTPServer):
    """An HTTP server with levers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.levers = Levers()
        self.levers.stalls.set()

    def handle_error(self, *_: object) -> None:  # a client that hangs up is part of the test
        return


class Answers(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        levers = self.server.levers
        levers.ranges.append(self.headers.get("Range", ""))
        levers.stalls.wait(10.0)
        if levers.changes and len(levers.ranges) > 1:
            levers.content, levers.etag = levers.changes
        if levers.location:
            self._head(302, {"Location": levers.location, "Content-Length": "0"})
            return
        if levers.status != 200:
            after = {"Retry-After": levers.retry_after} if levers.retry_after else {}
            self._head(levers.status, {"Content-Length": "0", **after})
            return
        self._send(levers, self._offset(levers))

    def _offset(self, levers: Levers) -> int:
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not asked or not levers.knows_ranges or (condition and condition != levers.etag):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, levers: Levers, offset: int) -> None:
        total = len(levers.content)
        if offset >= total:
            self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
            return
        body, headers = levers.content[offset:], {}
        promised = len(body) if levers.promised is None else levers.promised
        if promised >= 0:
            headers["Content-Length"] = str(promised)
        if levers.etag:
            headers["ETag"] = levers.etag
        if offset:
            first = offset + levers.begins_late
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        self._head(206 if offset else 200, headers)
        self.wfile.write(body[: levers.cuts.pop(0)] if levers.cuts else body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer()) as server:
        yield server


class serving:  # noqa: N801 - a context manager
    """Runs a server in a thread; answers that wait are let go at the end."""

    def __init__(self, server: FileServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.levers.stalls.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def levers(server: FileServer) -> Levers:
    return server.levers


def address(server: FileServer, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_address[1]}/weights.tflite"


@pytest.fixture
def pack(server: FileServer, make_pack: MakePack) -> ModelPack:
    return pack_at(address(server), make_pack)


def pack_at(url: str, make_pack: MakePack) -> ModelPack:
    return make_pack(LIKE, CONTENT, edit={find_pack(LIKE).weights.url: url})


@pytest.fixture
def unpinned(pack: ModelPack, sign_manifest: Callable[[Path], None]) -> ModelPack:
    """A pack of the same weights whose manifest knows neither hash nor length."""
    manifest = pack.folder / "manifest.toml"
    text = manifest.read_text()
    text = text.replace(f'sha256 = "{pack.sha256}"', "unpinned = true")
    text = text.replace(f"size_bytes = {len(CONTENT)}", f"limit_bytes = {2 * len(CONTENT)}")
    manifest.write_text(text)
    sign_manifest(pack.folder)
    (pack.folder / pack.weights.file).unlink()
    return read_pack(pack.folder)


class Waits(list[float]):
    """Stands in for waiting: remembers how long it would have been."""

    def terms(self, **changes: Any) -> Terms:
        return Terms(wait=self.append, chance=lambda: 1.0, **changes)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def kept(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder, save the lock, which stays."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".lock"}


# The plain way


def test_weights_are_downloaded_and_told_block_by_block(pack: ModelPack, tmp_path: Path) -> None:
    blocks: list[int] = []
    path = fetch(pack, tmp_path / "new" / "folder", progress=blocks.append)
    assert kept(path.parent) == {pack.weights.file: CONTENT}
    assert sum(blocks) == len(CONTENT)
    assert len(blocks) > 1
    assert path.stat().st_mode & 0o777 == 0o644


def test_good_weights_are_not_downloaded_again(
    pack: ModelPack, levers: Levers, tmp_path: Path
) -> None:
    assert fetch(pack, tmp_path / "to") == fetch(pack, tmp_path / "to")
    assert levers.ranges == [""]


def test_damaged_weights_are_replaced(pack: ModelPack, tmp_path: Path) -> None:
    (tmp_path / pack.weights.file).write_bytes(b"rubbish")
    assert fetch(pack, tmp_path).read_bytes() == CONTENT


def test_a_length_need_not_be_promised(pack: ModelPack, levers: Levers, tmp_path: Path) -> None:
    levers.promised = -1
    assert fetch(pack, tmp_path / "to").read_bytes() == CONTENT


# What is not the file


@pytest.mark.parametrize(
    ("content", "promised", "said"),
    [
        (OTHER, None, f"{len(CONTENT)} bytes of sha256 "),
        (CONTENT + b"\x00", None, f"{len(CONTENT) + 1} bytes are offered"),
        (CONTENT + b"\x00", -1, f"more than {len(CONTENT)} bytes came"),
        (CONTENT[:-1], None, f"{len(CONTENT) - 1} bytes are offered"),
        (b"<html>404</html>", None, "16 bytes are offered"),
    ],
)
def test_something_else_is_refused_and_leaves_nothing_behind(
    pack: ModelPack, levers: Levers, tmp_path: Path, content: bytes, promised: int, said: str
) -> None:
    levers.content, levers.promised = content, promised
    with pytest.raises(PackRejected, match=said):
        fetch(pack, tmp_path / "to")
    assert kept(tmp_path / "to") == {}
    assert len(levers.ranges) == 1


# Broken connections


def test_a_broken_download_goes_on_where_it_stopped(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    levers.cuts = [1000, 2000]
    told: list[int] = []
    assert fetch(pack, tmp_path, progress=told.append, terms=waits.terms()).read_bytes() == CONTENT
    assert levers.ranges == ["", "bytes=1000-", "bytes=3000-"]
    assert waits == [1.0, 2.0]  # the pause doubles
    assert sum(told) == len(CONTENT)


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    levers.cuts = [100] * MOST_TRIES
    with pytest.raises(ModelError, match="500 bytes are kept"):
        fetch(pack, tmp_path / "to", terms=waits.terms())
    assert len(waits) == MOST_TRIES - 1
    assert not (tmp_path / "to" / pack.weights.file).exists()

    told: list[int] = []
    fetch(pack, tmp_path / "to", progress=told.append)
    assert levers.ranges[-1] == "bytes=500-"
    assert told[0] == 500
    assert kept(tmp_path / "to") == {pack.weights.file: CONTENT}


@pytest.mark.parametrize("etag", ['"one"', "", 'W/"one"'])
def test_a_server_that_ignores_ranges_starts_anew(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits, etag: str
) -> None:
    levers.cuts, levers.knows_ranges, levers.etag = [1000], False, etag
    told: list[int] = []
    assert fetch(pack, tmp_path, progress=told.append, terms=waits.terms()).read_bytes() == CONTENT
    assert levers.ranges == ["", "bytes=1000-"]
    assert sum(told) == len(CONTENT)
    assert min(told) == -1000  # what is downloaded again is taken back


def test_a_file_that_changes_between_tries_is_not_mixed(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    """The rest of the right file would join wrong bytes; its tag tells."""
    levers.content, levers.etag, levers.cuts = bytes(len(CONTENT)), '"zeros"', [1000]
    levers.changes = (CONTENT, '"one"')
    assert fetch(pack, tmp_path, terms=waits.terms()).read_bytes() == CONTENT
    assert levers.ranges == ["", "bytes=1000-"]


def test_parts_that_do_not_belong_together_are_downloaded_anew(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    """Without a tag only the hash of the whole tells."""
    levers.content, levers.etag, levers.cuts = bytes(len(CONTENT)), "", [1000]
    levers.changes = (CONTENT, "")
    assert fetch(pack, tmp_path, terms=waits.terms()).read_bytes() == CONTENT
    assert levers.ranges == ["", "bytes=1000-", ""]


def test_a_part_that_begins_elsewhere_is_not_joined(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    levers.cuts, levers.begins_late = [1000], 7
    assert fetch(pack, tmp_path, terms=waits.terms()).read_bytes() == CONTENT
    assert levers.ranges == ["", "bytes=1000-", ""]


def test_what_is_longer_than_the_file_by_now_is_downloaded_anew(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    """The server has a shorter file, refuses the range, and is asked for the whole of it."""
    (tmp_path / f".{pack.weights.file}.part").write_bytes(CONTENT[:-10])
    levers.content = CONTENT[:-20]
    with pytest.raises(PackRejected, match=f"{len(CONTENT) - 20} bytes are offered"):
        fetch(pack, tmp_path, terms=waits.terms())
    assert levers.ranges == [f"bytes={len(CONTENT) - 10}-", ""]


def test_a_partial_file_that_is_complete_is_only_checked(
    pack: ModelPack, levers: Levers, tmp_path: Path
) -> None:
    """A process was killed between the last byte and the new name."""
    (tmp_path / f".{pack.weights.file}.part").write_bytes(CONTENT)
    assert fetch(pack, tmp_path).read_bytes() == CONTENT
    assert levers.ranges == []


@pytest.mark.parametrize("rubbish", [bytes(len(CONTENT)), bytes(len(CONTENT) + 1)])
def test_a_partial_file_that_is_rubbish_is_downloaded_anew(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits, rubbish: bytes
) -> None:
    (tmp_path / f".{pack.weights.file}.part").write_bytes(rubbish)
    assert fetch(pack, tmp_path, terms=waits.terms()).read_bytes() == CONTENT
    assert levers.ranges == [""]


def test_a_server_that_promises_more_than_it_sends_is_given_up(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    levers.content, levers.promised = CONTENT[:1000], len(CONTENT)
    levers.knows_ranges = False
    with pytest.raises(ModelError, match=f"broke off at 1000 of {len(CONTENT)} bytes"):
        fetch(pack, tmp_path, terms=waits.terms())
    assert len(levers.ranges) == MOST_TRIES


def test_a_slow_server_is_given_up(
    pack: ModelPack,
    levers: Levers,
    tmp_path: Path,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    levers.stalls.clear()
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.05)
    with pytest.raises(ModelError, match="timed out"):
        fetch(pack, tmp_path, terms=waits.terms())
    assert len(waits) == MOST_TRIES - 1


def test_an_absent_server_is_given_up(tmp_path: Path, make_pack: MakePack, waits: Waits) -> None:
    with serving(FileServer()) as gone:
        url = address(gone)
    with pytest.raises(ModelError, match=r"weights\.tflite: the download failed.*refused"):
        fetch(pack_at(url, make_pack), tmp_path / "to", terms=waits.terms())
    assert len(waits) == MOST_TRIES - 1


# Refusals


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusing_server_is_told_at_once(
    pack: ModelPack, levers: Levers, tmp_path: Path, status: int
) -> None:
    levers.status = status
    with pytest.raises(ModelError, match=rf"weights\.tflite: the download failed.*{status}"):
        fetch(pack, tmp_path / "to")
    assert len(levers.ranges) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits, status: int
) -> None:
    levers.status = status

    def wait(seconds: float) -> None:
        waits.append(seconds)
        levers.status = 200

    fetch(pack, tmp_path, terms=Terms(wait=wait, chance=lambda: 1.0))
    assert waits == [1.0]


@pytest.mark.parametrize(("said", "waited"), [("7", 7.0), ("99999", 120.0), ("tomorrow", 1.0)])
def test_a_server_may_say_how_long_to_wait(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits, said: str, waited: float
) -> None:
    levers.status, levers.retry_after = 503, said
    with pytest.raises(ModelError):
        fetch(pack, tmp_path, terms=waits.terms())
    assert waits[0] == waited


def test_an_address_without_tls_is_refused_unless_the_owner_takes_it(
    tmp_path: Path, make_pack: MakePack, waits: Waits
) -> None:
    pack = pack_at("http://camera.invalid/weights.tflite", make_pack)
    with pytest.raises(ModelError, match="only https addresses are downloaded from.*--allow-http"):
        fetch(pack, tmp_path / "to", terms=waits.terms())
    assert not (tmp_path / "to").exists()
    with pytest.raises(ModelError, match="the server was not reached"):
        fetch(pack, tmp_path / "to", terms=waits.terms(allow_http=True))


# Redirects


def test_a_redirect_is_followed_with_its_range(
    server: FileServer, tmp_path: Path, make_pack: MakePack, waits: Waits
) -> None:
    server.levers.cuts = [1000]
    with serving(FileServer()) as other:
        other.levers.location = address(server)
        fetch(pack_at(address(other), make_pack), tmp_path / "to", terms=waits.terms())
    assert server.levers.ranges == ["", "bytes=1000-"]


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("ftp://127.0.0.1/weights.tflite", "ftp"),
        ("file:///etc/passwd", "file"),
        ("http://camera.invalid/weights.tflite", "only https addresses"),
    ],
)
def test_a_redirect_out_of_what_is_allowed_is_refused(
    pack: ModelPack, levers: Levers, tmp_path: Path, location: str, said: str
) -> None:
    levers.location = location
    with pytest.raises(ModelError, match=said):
        fetch(pack, tmp_path / "to")
    assert kept(tmp_path / "to") == {}


def test_a_redirect_in_a_circle_ends(pack: ModelPack, server: FileServer, tmp_path: Path) -> None:
    server.levers.location = address(server)
    with pytest.raises(ModelError, match="302"):
        fetch(pack, tmp_path / "to")
    assert len(server.levers.ranges) <= 2 * transfer.MOST_REDIRECTS


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine that signs itself, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl to make a certificate")
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {key}"
    more = f"-addext subjectAltName=IP:127.0.0.1 -out {path}"
    subprocess.run([openssl, *command.split(), *more.split()], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[FileServer]:
    server = FileServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server


def test_a_server_that_cannot_prove_who_it_is_is_refused(
    secure: FileServer, tmp_path: Path, make_pack: MakePack
) -> None:
    with pytest.raises(ModelError, match="cannot prove who it is"):
        fetch(pack_at(address(secure, "https"), make_pack), tmp_path / "to")
    assert secure.levers.ranges == []


def test_no_redirect_leads_from_a_safe_address_to_an_unsafe_one(
    secure: FileServer,
    server: FileServer,
    certificate: Path,
    tmp_path: Path,
    make_pack: MakePack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even to this machine, and not with --allow-http: the safe server did not mean that."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    pack = pack_at(address(secure, "https"), make_pack)
    secure.levers.location = address(server)
    with pytest.raises(ModelError, match="leads to an unsafe address"):
        fetch(pack, tmp_path / "to", terms=Terms(allow_http=True))
    assert server.levers.ranges == []

    secure.levers.location = ""
    assert fetch(pack, tmp_path / "to").read_bytes() == CONTENT


# The disk


def test_a_disk_without_room_is_told_before_anything_is_written(
    pack: ModelPack, tmp_path: Path
) -> None:
    needed = len(CONTENT) + SPARE_BYTES
    with pytest.raises(ModelError, match=f"no room: {len(CONTENT)} bytes are to come"):
        fetch(pack, tmp_path / "to", terms=Terms(free_bytes=lambda _: needed - 1))
    assert kept(tmp_path / "to").get(f".{pack.weights.file}.part", b"") == b""
    fetch(pack, tmp_path / "to", terms=Terms(free_bytes=lambda _: needed))


@pytest.mark.parametrize(
    ("number", "left"), [(errno.ENOSPC, set()), (errno.EDQUOT, set()), (errno.EIO, {"part", "tag"})]
)
def test_a_disk_that_fills_up_meanwhile_is_told_and_gets_its_room_back(
    pack: ModelPack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    left: set[str],
) -> None:
    def full(self: Path, *arguments: Any, **more: Any) -> Any:
        file = ordinary(self, *arguments, **more)
        return FullFile(file, number) if self.suffix == ".part" and arguments == ("ab",) else file

    ordinary = Path.open
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ModelError, match="cannot be written"):
        fetch(pack, tmp_path / "to")
    assert {name.rsplit(".", 1)[-1] for name in kept(tmp_path / "to")} == left


class FullFile:
    """A file on a disk that takes one block and no more."""

    def __init__(self, file: Any, number: int) -> None:
        self._file, self._number, self._written = file, number, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tell(self) -> int:
        return int(self._file.tell())

    def write(self, block: bytes) -> None:
        if self._written:
            raise OSError(self._number, "no")
        self._written = self._file.write(block)


def test_a_folder_that_cannot_be_made_is_told(pack: ModelPack, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        fetch(pack, tmp_path / "file" / "folder")


# Two processes


def test_a_second_process_waits_and_finds_the_file_there(
    pack: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    with (tmp_path / f".{pack.weights.file}.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def wait(seconds: float) -> None:
            waits.append(seconds)
            (tmp_path / pack.weights.file).write_bytes(CONTENT)
            fcntl.flock(other, fcntl.LOCK_UN)

        fetch(pack, tmp_path, terms=Terms(wait=wait))
    assert waits == [1.0]
    assert levers.ranges == []


def test_a_lock_that_is_never_given_back_is_told(
    pack: ModelPack, tmp_path: Path, waits: Waits
) -> None:
    with (tmp_path / f".{pack.weights.file}.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another process has been downloading"):
            fetch(pack, tmp_path, terms=waits.terms())
    assert sum(waits) == 600.0


def test_many_at_once_download_once(pack: ModelPack, levers: Levers, tmp_path: Path) -> None:
    pause = threading.Event()
    found: list[bytes] = []

    def run() -> None:
        terms = Terms(wait=lambda _: (pause.wait(0.01), None)[1])
        found.append(fetch(pack, tmp_path / "to", terms=terms).read_bytes())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert found == [CONTENT] * 4
    assert levers.ranges == [""]


# Weights without a known hash


def test_an_unknown_file_is_taken_only_if_the_owner_says_so(
    unpinned: ModelPack, levers: Levers, tmp_path: Path
) -> None:
    with pytest.raises(PackRejected, match="nobody has published the hash.*--accept-unpinned"):
        fetch(unpinned, tmp_path / "to")
    assert levers.ranges == []
    path = fetch(unpinned, tmp_path / "to", terms=Terms(accept_unpinned=True))
    assert path.read_bytes() == CONTENT


def test_what_was_accepted_once_is_held_to(
    pack: ModelPack, unpinned: ModelPack, levers: Levers, tmp_path: Path
) -> None:
    path = fetch(unpinned, tmp_path, terms=Terms(accept_unpinned=True))
    record = path.with_name(f"{path.name}.accepted.json")
    assert json.loads(record.read_text()) == {
        "url": unpinned.weights.url,
        "sha256": pack.sha256,
        "size_bytes": len(CONTENT),
    }
    levers.content = OTHER
    path.write_bytes(OTHER)
    with pytest.raises(
        PackRejected, match=f"expected {len(CONTENT)} bytes.*remove .*accepted.json"
    ):
        fetch(unpinned, tmp_path)
    # Nor is it forgotten by accepting again: only by removing the record.
    with pytest.raises(PackRejected):
        fetch(unpinned, tmp_path, terms=Terms(accept_unpinned=True))
    record.unlink()
    fetch(unpinned, tmp_path, terms=Terms(accept_unpinned=True))


def test_a_record_of_another_address_does_not_count(
    unpinned: ModelPack, levers: Levers, tmp_path: Path
) -> None:
    path = fetch(unpinned, tmp_path, terms=Terms(accept_unpinned=True))
    record = path.with_name(f"{path.name}.accepted.json")
    record.write_text(record.read_text().replace("/weights.tflite", "/other.tflite"))
    with pytest.raises(PackRejected, match="nobody has published the hash"):
        fetch(unpinned, tmp_path)


def test_a_damaged_record_is_told_with_its_name(unpinned: ModelPack, tmp_path: Path) -> None:
    path = fetch(unpinned, tmp_path, terms=Terms(accept_unpinned=True))
    record = path.with_name(f"{path.name}.accepted.json")
    record.write_text("{")
    with pytest.raises(PackRejected, match=r"accepted\.json: the record"):
        fetch(unpinned, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>please log in</html>" * 10, "this is a web page"),
        (CONTENT + CONTENT + b"\x00", "bytes are offered"),
        (b"version https://git-lfs.github.com/spec/v1\n" * 2, "Git LFS pointer"),
    ],
)
def test_what_is_no_model_is_not_accepted(
    unpinned: ModelPack, levers: Levers, tmp_path: Path, content: bytes, said: str
) -> None:
    levers.content = content
    with pytest.raises(PackRejected, match=said):
        fetch(unpinned, tmp_path / "to", terms=Terms(accept_unpinned=True))
    assert kept(tmp_path / "to") == {}


def test_an_unknown_file_without_a_tag_is_never_joined(
    unpinned: ModelPack, levers: Levers, tmp_path: Path, waits: Waits
) -> None:
    """Nothing would tell that its parts belong together."""
    levers.cuts, levers.etag = [1000], ""
    fetch(unpinned, tmp_path, terms=waits.terms(accept_unpinned=True))
    assert levers.ranges == ["", ""]


def test_what_another_run_left_of_an_unknown_file_is_not_trusted(
    unpinned: ModelPack, levers: Levers, tmp_path: Path
) -> None:
    (tmp_path / f".{unpinned.weights.file}.part").write_bytes(b"rubbish")
    (tmp_path / f".{unpinned.weights.file}.part.tag").write_text('"one"')
    path = fetch(unpinned, tmp_path, terms=Terms(accept_unpinned=True))
    assert path.read_bytes() == CONTENT


# Packs without an address


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yolox_nano_coco_320", "not offered anywhere as they are"),
        ("ulffd_landmark_320x240_float", "their licence does not allow it"),
    ],
)
def test_weights_without_an_address_are_told_with_the_reason(
    tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        fetch(find_pack(name), tmp_path)


# The command


def test_the_command_fetches_both_files_of_a_pack(
    pack: ModelPack,
    sign_manifest: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_twin(pack, f'sha256 = "{pack.sha256}"\nsize_bytes = {len(CONTENT)}', sign_manifest)
    assert main(["models", "fetch", "--json", str(pack.folder)]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [(r["name"], r["file"], r["ok"], r["vouched_by"]) for r in records] == [
        (LIKE, "vww_96.tflite", True, "manifest"),
        (LIKE, "vww_96_edgetpu.tflite", True, "manifest"),
    ]
    assert all(Path(record["weights"]).read_bytes() == CONTENT for record in records)
    assert {record["sha256"] for record in records} == {pack.sha256}


def test_the_command_takes_unknown_files_only_when_told_and_says_so_loudly(
    pack: ModelPack,
    sign_manifest: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_twin(pack, f"unpinned = true\nlimit_bytes = {len(CONTENT)}", sign_manifest)
    assert main(["models", "fetch", "--json", str(pack.folder)]) == 1
    first, twin = json.loads(capsys.readouterr().out)
    assert first["ok"]
    assert "--accept-unpinned" in twin["error"]

    assert main(["models", "fetch", "--json", "--accept-unpinned", str(pack.folder)]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)[1]["vouched_by"] == "first use"
    assert "WARNING" in said.err
    assert pack.sha256 in said.err

    # From now on the pack has a hash, and there is nothing left to warn of.
    found = find_pack(pack.folder)
    assert found.edgetpu is not None
    assert found.edgetpu.sha256 == pack.sha256
    assert found.digest == pack_digest(pack.folder)
    assert main(["models", "fetch", "--accept-unpinned", str(pack.folder)]) == 0
    assert capsys.readouterr().err == ""


def pack_digest(folder: Path) -> str:
    return read_pack(folder).digest


def with_twin(pack: ModelPack, pin: str, sign: Callable[[Path], None]) -> None:
    manifest = pack.folder / "manifest.toml"
    twin = f'[edgetpu]\nfile = "vww_96_edgetpu.tflite"\nurl = "{pack.weights.url}"\n{pin}\n\n'
    manifest.write_text(manifest.read_text().replace("[input]", twin + "[input]"))
    sign(pack.folder)


def test_weights_taken_on_first_use_belong_to_what_the_pack_is(
    unpinned: ModelPack, levers: Levers
) -> None:
    """Another file makes another digest, and does not count as known to run."""
    fetch(unpinned, cache_folder(), terms=Terms(accept_unpinned=True))
    first = find_pack(unpinned.folder)
    assert locate_weights(first).read_bytes() == CONTENT
    assert not is_in_catalogue("")
    assert not is_in_catalogue(first.sha256)

    for path in cache_folder().glob("vww_96*"):
        path.unlink()
    with pytest.raises(ModelError, match="nobody has published the hash"):
        locate_weights(find_pack(unpinned.folder))
    levers.content = OTHER
    fetch(unpinned, cache_folder(), terms=Terms(accept_unpinned=True))
    assert find_pack(unpinned.folder).digest != first.digest


@pytest.mark.parametrize("words", [[], ["--all", LIKE]])
def test_the_command_wants_names_or_all(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "fetch", *words]) == 1
    assert "either name packs, or give --all" in capsys.readouterr().err
