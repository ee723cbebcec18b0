"""One HTTP request for a file or the rest of one, and what its answer promises.

On the standard library's `urllib`: proxies, redirects, certificates and time-outs are its. What a
download library would bring beyond it is resuming, limits and retries, and the small ones do not
resume, while those that do are larger than this program's whole way to a model; so those few rules
are ours, in `fetch`. This module knows no packs and keeps no files.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import IO
from urllib.parse import urlsplit

from camera_app.errors import ModelError

TIMEOUT_S = 30.0
BLOCK_BYTES = 64 * 1024
MOST_REDIRECTS = 5
LONGEST_PAUSE_S = 120.0  # a server that asks for more is not waited for
TRY_AGAIN_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Interrupted(Exception):
    """A transfer did not come to its end; another try may help.

    Attributes:
        pause_s: What the server asked to wait; None if it did not.
        starts_anew: What was received so far is of no use for the next try.
    """

    def __init__(
        self, what: str, *, pause_s: float | None = None, starts_anew: bool = False
    ) -> None:
        super().__init__(what)
        self.pause_s = pause_s
        self.starts_anew = starts_anew


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        url: Where it is.
        offset: Bytes that are there already.
        validator: Entity tag or date of what those bytes belong to; empty if not known.
        allow_http: An address without TLS will do; on this machine it always does.
    """

    url: str
    offset: int = 0
    validator: str = ""
    allow_http: bool = False


class Answer:
    """What a server sends, its first byte not read yet.

    Attributes:
        begins_at: Which byte of the file comes first: what was asked for, or 0 from a server that
            sends the whole file.
        total_bytes: Length of the whole file as promised; None if nothing was promised.
        validator: Tells this version of the file from another; empty if the server has none.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.begins_at, self.total_bytes = _extent(response)
        self.validator = _validator(response.headers)

    def blocks(self) -> Iterator[bytes]:
        """Yield what comes, block by block.

        Raises:
            Interrupted: The connection broke.
        """
        try:
            while block := self._response.read(BLOCK_BYTES):
                yield block
        except (OSError, http.client.HTTPException) as error:
            raise Interrupted(f"the connection broke: {_reason(error)}") from error


@contextmanager
def answer_to(wanted: Wanted) -> Iterator[Answer]:
    """Ask a server for a file, or for the rest of it.

    Raises:
        Interrupted: Another try may help.
        ModelError: It will not: the address is refused, by us or by the server.
    """
    require_secure(wanted.url, allow_http=wanted.allow_http)
    with _open(wanted) as response:
        yield Answer(response)


def require_secure(url: str, *, allow_http: bool) -> None:
    """Refuse an address that anybody on the way can read and change.

    Raises:
        ModelError: It is not https, nor on this machine, and that was not allowed.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and (allow_http or _is_local(url))):
        return
    remedy = "--allow-http takes it all the same" if parts.scheme == "http" else ""
    raise ModelError("only https addresses are downloaded from", where=url, remedy=remedy)


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _open(wanted: Wanted) -> http.client.HTTPResponse:
    request = urllib.request.Request(wanted.url, headers=_headers(wanted))  # noqa: S310
    try:
        response: http.client.HTTPResponse = _opener(wanted).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            raise _translated(wanted, error) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise ModelError(
                f"the server cannot prove who it is: {_reason(error)}", where=wanted.url
            ) from error
        raise Interrupted(f"the server was not reached: {_reason(error)}") from error
    return response


def _headers(wanted: Wanted) -> dict[str, str]:
    # A compressed answer would make every offset a guess.
    headers = {"User-Agent": "camera-app", "Accept-Encoding": "identity"}
    if wanted.offset:
        headers["Range"] = f"bytes={wanted.offset}-"
        if wanted.validator:
            headers["If-Range"] = wanted.validator
    return headers


def _opener(wanted: Wanted) -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https and nothing else, such as ftp: or file:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(allow_http=wanted.allow_http),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server elsewhere, but never from a safe way to an unsafe one."""

    max_redirections = MOST_REDIRECTS

    def __init__(self, *, allow_http: bool) -> None:
        self._allow_http = allow_http

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            self._require_safe(req, newurl)
        except ModelError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]

    def _require_safe(self, request: urllib.request.Request, url: str) -> None:
        if request.type == "https" and urlsplit(url).scheme != "https":
            where = request.full_url
            raise ModelError(f"the server leads to an unsafe address: {url}", where=where)
        require_secure(url, allow_http=self._allow_http)


def _translated(wanted: Wanted, error: urllib.error.HTTPError) -> Exception:
    said = f"the server answered {error.code} {error.reason}"
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and wanted.offset:
        return Interrupted(said, starts_anew=True)
    if error.code in TRY_AGAIN_STATUS:
        return Interrupted(said, pause_s=_pause(error.headers))
    return ModelError(f"the download failed: {said}", where=wanted.url)


def _pause(headers: Message) -> float | None:
    """Return the seconds of Retry-After; its other form, a date, needs a clock that is right."""
    text = headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE_S) if text.isdecimal() else None


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return where the answer begins, and how long the whole file is."""
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise Interrupted("the server does not say which part it sends", starts_anew=True)
    first, total = found.groups()
    return int(first), None if total == "*" else int(total)


def _validator(headers: Message) -> str:
    tag = str(headers.get("ETag", ""))
    # A weak tag says that two versions mean the same, not that their bytes are the same.
    return "" if tag.startswith("W/") else tag


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__
