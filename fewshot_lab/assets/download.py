"""One HTTP download that resumes where it stopped, by urllib: no library that the course depends on resumes and limits one."""

import http.client
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ..languages import say

CONNECT_AND_READ_SECONDS = 8
TRIES_WITHOUT_PROGRESS = 3


class SourceFailed(Exception):
    """One source did not give a file, and why; the next source is tried."""


def download(url: str, part: Path, *, limit: int, progress: bool) -> None:
    """Downloads `url` into the file `part`, and continues from what the file holds where the server can (a Range request).

    A connection that breaks off is resumed until three tries in a row bring nothing new. Raises SourceFailed when the server
    cannot be reached, refuses, or keeps breaking off (`part` then holds what came), and when it sends too much.

    Args:
        url: of one file.
        part: where it is written.
        limit: the most bytes that are accepted.
        progress: shows a bar.
    """
    from tqdm.auto import tqdm

    furthest, failed = _size(part), 0
    with tqdm(desc=url.rsplit("/", 1)[-1], unit="B", unit_scale=True, leave=False, disable=None if progress else True,
              file=sys.stderr) as bar:  # fmt: skip
        while True:
            broken = _download_once(url, part, limit, bar)
            if not broken:
                return
            # A slow line may break off many times: only tries that add nothing count, so that any progress goes on.
            failed = 0 if _size(part) > furthest else failed + 1
            furthest = max(furthest, _size(part))
            if failed == TRIES_WITHOUT_PROGRESS:
                raise SourceFailed(
                    say(
                        "{url} broke off after {size:,} bytes, again and again ({broken})",
                        url=url,
                        size=_size(part),
                        broken=broken,
                    )
                )
            time.sleep(0.2 * failed)


def _download_once(url: str, part: Path, limit: int, bar) -> str:
    """Continues the download; returns why it broke off, or "" when it is complete."""
    start = _size(part)
    # identity: a compressed answer would have other bytes than the file, and its ranges would not fit.
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "fewshot-lab"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=CONNECT_AND_READ_SECONDS)
    except urllib.error.HTTPError as error:
        # 416, range not satisfiable: the file is complete already, or what is here belongs to another version of it.
        if error.code == 416 and start:
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return ""
            part.unlink()
            return _download_once(url, part, limit, bar)
        raise SourceFailed(say("{url} answers {code} {reason}", url=url, code=error.code, reason=error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise SourceFailed(_unreachable(url, getattr(error, "reason", error))) from error
    with response:
        continued = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if response.status == 206 and not continued:
            raise SourceFailed(say("{url} sent another part of the file than asked for", url=url))
        received = start if continued else 0  # a server that knows no ranges sends the file from its beginning
        length = response.headers.get("Content-Length")
        total = received + int(length) if length else None
        bar.reset(total)
        bar.update(received)
        with open(part, "ab" if continued else "wb") as file:
            while True:
                try:
                    chunk = response.read(2**18)
                except (OSError, http.client.HTTPException) as error:
                    return str(error) or type(error).__name__
                if not chunk:
                    break
                received += len(chunk)
                if received > limit:  # a wrong address may send anything, and without end
                    part.unlink()
                    raise SourceFailed(say("{url} sends more than the {limit:,} bytes that it may have", url=url, limit=limit))
                file.write(chunk)
                bar.update(len(chunk))
    if total is None or received == total:
        return ""
    return say("{received:,} of {total:,} bytes came", received=received, total=total)


def _unreachable(url: str, reason) -> str:
    host = url.split("/")[2]
    if isinstance(reason, socket.gaierror):
        return say("the host name {host} cannot be resolved (is there a network?)", host=host)
    if isinstance(reason, TimeoutError):
        return say("{host} did not answer within {seconds} seconds", host=host, seconds=CONNECT_AND_READ_SECONDS)
    return say("{host} cannot be reached ({reason})", host=host, reason=reason)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
