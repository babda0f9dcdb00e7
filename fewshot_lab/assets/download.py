"""One HTTP download that goes on where it stopped (urllib: no library that the course keeps resumes and bounds one)."""

import http.client
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

CONNECT_AND_READ_SECONDS = 8
FRUITLESS_TRIES = 3


class SourceFailed(Exception):
    """Why one source did not give a file; the next source is tried."""


def download(url: str, part: Path, *, limit: int, progress: bool) -> None:
    """Downloads `url` into the file `part`, continuing what is there already by a Range request where the server can.

    A connection that breaks off is taken up again until three tries in a row bring nothing new. Raises SourceFailed
    when the server cannot be reached, refuses, keeps breaking off (`part` then holds what came) or sends more than
    `limit` bytes.
    """
    from tqdm.auto import tqdm

    furthest, fruitless = _size(part), 0
    with tqdm(desc=url.rsplit("/", 1)[-1], unit="B", unit_scale=True, leave=False, disable=None if progress else True,
              file=sys.stderr) as bar:  # fmt: skip
        while True:
            broken = _download_once(url, part, limit, bar)
            if not broken:
                return
            fruitless = 0 if _size(part) > furthest else fruitless + 1
            furthest = max(furthest, _size(part))
            if fruitless == FRUITLESS_TRIES:
                raise SourceFailed(f"{url} broke off after {_size(part):,} bytes, again and again ({broken})")
            time.sleep(0.2 * fruitless)


def _download_once(url: str, part: Path, limit: int, bar) -> str:
    """Goes on with the download; the returned text says why it broke off, "" when it is complete."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "fewshot-lab"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=CONNECT_AND_READ_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return ""
            part.unlink()
            return _download_once(url, part, limit, bar)
        raise SourceFailed(f"{url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise SourceFailed(_unreachable(url, getattr(error, "reason", error))) from error
    with response:
        continued = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if response.status == 206 and not continued:
            raise SourceFailed(f"{url} sent another part of the file than asked for")
        got = start if continued else 0
        length = response.headers.get("Content-Length")
        total = got + int(length) if length else None
        bar.reset(total)
        bar.update(got)
        with open(part, "ab" if continued else "wb") as file:
            while True:
                try:
                    piece = response.read(2**18)
                except (OSError, http.client.HTTPException) as error:
                    return str(error) or type(error).__name__
                if not piece:
                    break
                got += len(piece)
                if got > limit:
                    part.unlink()
                    raise SourceFailed(f"{url} sends more than the {limit:,} bytes that it may have")
                file.write(piece)
                bar.update(len(piece))
    return "" if total is None or got == total else f"{got:,} of {total:,} bytes came"


def _unreachable(url: str, reason) -> str:
    host = url.split("/")[2]
    if isinstance(reason, socket.gaierror):
        return f"the host name {host} cannot be resolved (is there a network?)"
    if isinstance(reason, TimeoutError):
        return f"{host} did not answer within {CONNECT_AND_READ_SECONDS} seconds"
    return f"{host} cannot be reached ({reason})"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
