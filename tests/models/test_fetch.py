from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from camera_app.errors import ModelError, PackRejected
from camera_app.models import ModelPack, fetch, find_pack

CONTENT = (0x20).to_bytes(4, "little") + b"TFL3" + bytes(200_000)
LIKE = "mobilenet_v1_0.25_128"


class Files(BaseHTTPRequestHandler):
    """Answers every request with what the server holds."""

    server: FileServer

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.promised or len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        return


class FileServer(ThreadingHTTPServer):
    """An HTTP server with levers."""

    content = CONTENT
    status = 200
    promised = 0  # length that the header promises; 0: the true one
    requests = 0


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pack(server: FileServer, make_pack: Callable[..., ModelPack]) -> ModelPack:
    address = f"http://127.0.0.1:{server.server_address[1]}/weights.tflite"
    return make_pack(LIKE, CONTENT, edit={find_pack(LIKE).weights.url: address})


def test_weights_are_downloaded_and_told_block_by_block(pack: ModelPack, tmp_path: Path) -> None:
    blocks: list[int] = []
    path = fetch(pack, tmp_path / "new" / "folder", progress=blocks.append)
    assert path.name == pack.weights.file
    assert path.read_bytes() == CONTENT
    assert sum(blocks) == len(CONTENT)
    assert len(blocks) > 1


def test_good_weights_are_not_downloaded_again(
    pack: ModelPack, server: FileServer, tmp_path: Path
) -> None:
    assert fetch(pack, tmp_path / "to") == fetch(pack, tmp_path / "to")
    assert server.requests == 1


def test_damaged_weights_are_replaced(pack: ModelPack, tmp_path: Path) -> None:
    (tmp_path / pack.weights.file).write_bytes(b"rubbish")
    assert fetch(pack, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CONTENT[:-1] + b"\x01", "bytes of sha256"),
        (CONTENT + b"\x00", "more than the promised 200008 bytes"),
        (CONTENT[:-1], "200007 bytes of sha256"),
        (b"<html>404</html>", "16 bytes of sha256"),
    ],
)
def test_something_else_is_refused_and_leaves_nothing_behind(
    pack: ModelPack, server: FileServer, tmp_path: Path, content: bytes, said: str
) -> None:
    server.content = content
    with pytest.raises(PackRejected, match=said):
        fetch(pack, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_connection_that_breaks_off_is_told(
    pack: ModelPack, server: FileServer, tmp_path: Path
) -> None:
    server.content, server.promised = CONTENT[:1000], len(CONTENT)
    with pytest.raises(ModelError):
        fetch(pack, tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_refusing_server_is_told_with_its_address(
    pack: ModelPack, server: FileServer, tmp_path: Path
) -> None:
    server.status = 404
    with pytest.raises(ModelError, match=r"weights\.tflite: the download failed.*404"):
        fetch(pack, tmp_path / "to")


def test_an_absent_server_is_told(
    pack: ModelPack, server: FileServer, tmp_path: Path, make_pack: Callable[..., ModelPack]
) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(ModelError, match="the download failed.*refused"):
        fetch(pack, tmp_path / "to")


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
