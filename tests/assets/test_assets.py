"""Assets are fetched whole and verified or not at all, whatever the network, the disk or another process does."""

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from fewshot_lab import assets
from fewshot_lab.assets import (
    Asset,
    AssetError,
    DebianPackage,
    NpmPackages,
    PyPISdist,
    PyPIWheel,
    Upstream,
    download,
    sources,
    store,
)
from fewshot_lab.assets.manifest import File
from fewshot_lab.errors import CourseError
from fewshot_lab.files import cached_on_disk

CONTENT = hashlib.shake_256(b"a small asset").digest(300_000)
OTHER = b"a second file"


def file_of(content: bytes) -> File:
    return File(hashlib.sha256(content).hexdigest(), len(content))


def define(*sources, **files: bytes) -> Asset:
    """An asset "tiny" with these files, "data" of CONTENT when none is named."""
    contents = files or {"data": CONTENT}
    hashes = {name: file_of(content) for name, content in contents.items()}
    return Asset("tiny", "1", hashes, sources, "MIT", "nobody 2020", ("02",), "for the tests")


class Server(ThreadingHTTPServer):
    """Serves `contents`; `breaks` holds, for the next requests, how many bytes come before the connection is cut."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents, self.breaks, self.asked = {"data": CONTENT}, [], []
        self.ranges, self.go_on = True, threading.Event()
        self.go_on.set()

    def at(self, *names: str, folder: str = "") -> Upstream:
        return Upstream({name: f"http://127.0.0.1:{self.server_port}/{folder}{name}" for name in names or ("data",)})

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path[1:], wanted))
        body = self.server.contents.get(self.path[1:])
        if body is None:
            return self.send_error(404)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = self.server.breaks.pop(0) if self.server.breaks else None
        self.wfile.write(body[start:][:cut])
        self.wfile.flush()
        self.server.go_on.wait(30)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.go_on.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FEWSHOT_LAB_BUNDLE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def offer(monkeypatch):
    def put(*sources, **files) -> Asset:
        asset = define(*sources, **files)
        monkeypatch.setitem(assets.ASSETS, "tiny", asset)
        return asset

    return put


def other_process(server: Server) -> subprocess.Popen:
    """A Python process that fetches "tiny" from the server."""
    program = (
        "from fewshot_lab import assets; from fewshot_lab.assets.manifest import File\n"
        f"assets.ASSETS['tiny'] = assets.Asset('tiny', '1', {{'data': File{tuple(file_of(CONTENT))}}}, "
        f"(assets.Upstream({server.at().urls!r}),), 'MIT', '', (), '')\n"
        "print(assets.fetch('tiny', progress=False))"
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition, seconds: float = 20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def hidden_bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in (home / "assets" / "tiny").rglob("*") if path.is_file())


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server, offer):
    offer(server.at())
    server.breaks = [100_000, 50_000]
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
    assert server.asked == [("data", None), ("data", "bytes=100000-"), ("data", "bytes=150000-")]


def test_a_download_from_a_server_without_ranges_starts_again(server, offer):
    offer(server.at())
    server.ranges, server.breaks = False, [100_000]
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_server_that_always_breaks_off_is_given_up(server, offer):
    offer(server.at())
    server.ranges, server.breaks = False, [1000] * 50
    with pytest.raises(AssetError, match="broke off after 1,000 bytes"):
        assets.fetch("tiny")
    assert len(server.asked) == 1 + download.TRIES_WITHOUT_PROGRESS


def test_a_fetch_after_a_kill_goes_on_where_the_killed_one_stopped(server, offer, home):
    offer(server.at())
    server.breaks = [2**18]
    server.go_on.clear()
    killed = other_process(server)
    until(lambda: hidden_bytes(home) >= 2**18)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    server.go_on.set()
    assert assets.installed("tiny") is None
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
    assert server.asked[1:] == [("data", f"bytes={2**18}-")]


def test_left_over_parts_that_are_wrong_do_not_spoil_the_fetch(server, offer, home):
    offer(server.at())
    server.breaks = [1000] * 4
    server.ranges = False
    with pytest.raises(AssetError):
        assets.fetch("tiny")
    [part] = home.rglob("*.part")
    server.ranges, server.breaks = True, []
    for wrong in (b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)):
        part.parent.mkdir(exist_ok=True, parents=True)
        part.write_bytes(wrong)
        assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
        shutil.rmtree(assets.installed("tiny"))


def test_a_corrupted_download_is_thrown_away_and_said_and_the_next_source_used(server, offer, capsys):
    offer(server.at(folder="bad/"), server.at())
    wrong = b"?" + CONTENT[1:]
    server.contents["bad/data"] = wrong
    folder = assets.fetch("tiny")
    assert (folder / "data").read_bytes() == CONTENT
    said = capsys.readouterr().err
    for part in ("thrown away", "/bad/data", file_of(CONTENT).sha256, file_of(wrong).sha256):
        assert part in said


@pytest.mark.parametrize("wrong", [b"?" + CONTENT[1:], CONTENT[:-1], CONTENT + bytes(2**21), b""])
def test_nothing_is_installed_when_every_source_gives_a_wrong_file(server, offer, home, wrong):
    offer(server.at())
    server.contents["data"] = wrong
    with pytest.raises(AssetError):
        assets.fetch("tiny")
    assert assets.installed("tiny") is None
    assert not (home / "assets" / "tiny" / "1").exists()
    assert hidden_bytes(home) == 0


def test_gzip_files_are_unpacked_and_damaged_ones_refused(server, offer):
    packed = gzip.compress(CONTENT)
    bad, good = (Upstream({"data": f"{server.at(folder=kind).urls['data']}.gz"}) for kind in ("bad/", "good/"))
    server.contents |= {"bad/data.gz": packed[:2000] + b"spoilt" + packed[2006:], "good/data.gz": packed}
    offer(bad)
    with pytest.raises(AssetError, match="thrown away"):
        assets.fetch("tiny")
    offer(bad, good)
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT


def test_a_gzip_file_that_unpacks_without_end_is_cut_off(server, offer, home):
    server.contents["data.gz"] = gzip.compress(bytes(50_000_000))
    offer(Upstream({"data": f"{server.at().urls['data']}.gz"}))
    with pytest.raises(AssetError, match=f"has {len(CONTENT) + 1:,} bytes, expected {len(CONTENT):,}"):
        assets.fetch("tiny")


def test_a_server_that_does_not_answer_is_left_after_a_short_time(server, offer, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_AND_READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        offer(Upstream({"data": f"http://127.0.0.1:{silent.getsockname()[1]}/data"}), server.at())
        started = time.monotonic()
        assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
    assert time.monotonic() - started < 3


def test_two_processes_at_once_make_one_download_and_the_second_says_that_it_waits(server, offer, home):
    server.go_on.clear()
    server.breaks = [1000]
    first = other_process(server)
    until(lambda: server.asked)
    second = other_process(server)
    assert "waiting" in second.stderr.readline()
    server.go_on.set()
    for process in (first, second):
        out, _ = process.communicate(timeout=30)
        assert Path(out.strip(), "data").read_bytes() == CONTENT
    assert [span for _, span in server.asked] == [None, "bytes=1000-"]


def test_an_installed_asset_is_not_fetched_again(server, offer):
    offer(server.at())
    assert assets.fetch("tiny") == assets.fetch("tiny") == assets.installed("tiny")
    assert len(server.asked) == 1


def test_what_a_shared_folder_has_is_used_from_there_and_the_rest_fetched_into_the_own(
    server, offer, home, tmp_path, monkeypatch
):
    offer(server.at())
    shared = tmp_path / "shared"
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(shared))
    assets.fetch("tiny")
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(home))
    monkeypatch.setenv("FEWSHOT_LAB_SHARED", str(shared))
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}
    assert assets.fetch("tiny") == assets.installed("tiny") == shared / "assets" / "tiny" / "1"
    assert assets.verify(["tiny"]) == [] and {row.name: row.state for row in assets.listing()}["tiny"] == "installed"
    cached_on_disk("name", b"content", lambda: torch.ones(2))
    assert not (home / "assets").exists() and len(list((home / "features").glob("name-*.npy"))) == 1
    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*")} == before and len(server.asked) == 1
    monkeypatch.setitem(assets.ASSETS, "tiny", dataclasses.replace(assets.ASSETS["tiny"], version="2"))
    assert assets.fetch("tiny") == home / "assets" / "tiny" / "2"
    monkeypatch.setenv("FEWSHOT_LAB_SHARED", str(tmp_path / "wrong"))
    with pytest.raises(CourseError, match="FEWSHOT_LAB_SHARED is .*wrong, but there is no such folder"):
        assets.fetch("tiny")


def test_an_installed_file_of_another_size_is_noticed_and_only_it_is_fetched_again(server, offer):
    offer(server.at("data", "other"), data=CONTENT, other=OTHER)
    server.contents["other"] = OTHER
    folder = assets.fetch("tiny")
    (folder / "other").write_bytes(b"short")
    assert assets.installed("tiny") is None
    assert (assets.fetch("tiny") / "other").read_bytes() == OTHER
    assert [name for name, _ in server.asked] == ["data", "other", "other"]


def test_verify_names_a_file_damaged_in_place_and_the_next_fetch_repairs_it(server, offer):
    offer(server.at())
    folder = assets.fetch("tiny")
    assert assets.verify(["tiny"]) == []
    (folder / "data").write_bytes(b"?" + CONTENT[1:])
    [finding] = assets.verify()
    assert str(folder / "data") in finding and "fewshot-lab assets fetch tiny" in finding
    assert {row.name: row.state for row in assets.listing()}["tiny"] == "damaged"
    assets.fetch("tiny")
    assert assets.verify(["tiny"]) == []


def test_verify_says_that_an_asset_is_not_here(offer):
    offer()
    assert "not here" in assets.verify(["tiny"])[0]
    assert assets.verify() == []


def test_files_put_there_by_hand_are_checked_and_used_without_a_network(offer, home):
    offer(data=CONTENT, other=OTHER)
    folder = home / "assets" / "tiny" / "1"
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(b"?" + CONTENT[1:])
    (folder / "other").write_bytes(OTHER)
    with pytest.raises(AssetError):
        assets.fetch("tiny")
    assert (folder / "other").read_bytes() == OTHER
    (folder / "data").write_bytes(CONTENT)
    assert assets.fetch("tiny") == assets.installed("tiny") == folder


def test_a_bundle_serves_another_machine(server, offer, tmp_path, monkeypatch):
    offer(server.at("data", "sub/other"), **{"data": CONTENT, "sub/other": OTHER})
    server.contents["sub/other"] = OTHER
    folder = assets.bundle(tmp_path / "stick", ["tiny"])
    assert json.loads((folder / "manifest.json").read_text())["assets"]["tiny"]["files"]["data"] == {
        "sha256": file_of(CONTENT).sha256,
        "size": len(CONTENT),
    }
    server.contents.clear()
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "used"))
    [target] = assets.use(folder)
    assert assets.fetch("tiny") == target and (target / "sub/other").read_bytes() == OTHER
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "pointed"))
    monkeypatch.setenv("FEWSHOT_LAB_BUNDLE", str(folder))
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
    assert not [path for path in tmp_path.rglob("*.work")]


def test_a_bundle_is_never_made_of_damaged_files(server, offer, tmp_path):
    offer(server.at())
    (assets.fetch("tiny") / "data").write_bytes(b"?" + CONTENT[1:])
    assert (assets.bundle(tmp_path / "stick", ["tiny"]) / "tiny/1/data").read_bytes() == CONTENT


def test_a_bundle_with_a_corrupted_file_is_refused_by_name(server, offer, tmp_path, monkeypatch):
    offer(server.at())
    folder = assets.bundle(tmp_path / "stick", ["tiny"])
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "other"))
    for damage in (b"?" + CONTENT[1:], CONTENT[:10]):
        (folder / "tiny/1/data").write_bytes(damage)
        with pytest.raises(AssetError, match="tiny/1/data .*expected"):
            assets.use(folder)
        assert assets.installed("tiny") is None


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "is no bundle"),
        ("{", "cannot be read"),
        ('{"assets": {"tiny": {}}}', "cannot be read"),
        ('{"assets": {"tiny": {"version": "0"}}}', "holds tiny 0, this course needs 1"),
        ('{"assets": {"tinny": {"version": "1"}}}', "no asset 'tinny'"),
    ],
)
def test_a_folder_that_is_no_bundle_of_this_course_is_refused(offer, tmp_path, manifest, message):
    offer()
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(AssetError, match=message):
        assets.use(tmp_path)


def test_without_a_network_the_error_names_every_source_and_the_way_out(offer, monkeypatch, tmp_path):
    def nobody_knows(*_, **__):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", nobody_knows)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("FEWSHOT_LAB_BUNDLE", str(tmp_path / "stick"))
    members = {"data": "data"}
    offer(
        Upstream({"data": "http://example.org/data"}),
        DebianPackage("pkg", members),
        PyPIWheel("tinywheel", members),
        PyPISdist("tinysdist==1.0", "0" * 64, members),
        NpmPackages({"data": "@tiny/pkg@1.0/data"}),
    )
    started = time.monotonic()
    with pytest.raises(AssetError) as caught:
        assets.fetch("tiny")
    assert time.monotonic() - started < 10
    for part in (
        "'tiny'",
        "FEWSHOT_LAB_BUNDLE): ",
        "example.org cannot be resolved",
        "Debian's package pkg: this system has no apt-get",
        "PyPI's tinywheel: ERROR: No matching distribution found",
        "PyPI's source archive tinysdist==1.0: ERROR: No matching distribution found",
        "npm's @tiny/pkg@1.0: this system has no npm",
        "fewshot-lab assets use FOLDER",
        "FEWSHOT_LAB_BUNDLE=FOLDER",
        str(store.install_folder(assets.ASSETS["tiny"])),
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("platform", ["", "win_arm64"])
def test_a_wheel_gives_its_members_without_being_installed(offer, monkeypatch, tmp_path, platform):
    with zipfile.ZipFile(tmp_path / f"tinywheel-1.0-py3-none-{platform or 'any'}.whl", "w") as wheel:
        wheel.writestr("tinywheel/model.bin", CONTENT)
        wheel.writestr("tinywheel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinywheel\nVersion: 1.0\n")
        wheel.writestr("tinywheel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tinywheel-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    offer(PyPIWheel("tinywheel==1.0", {"data": "tinywheel/lost.bin"}, platform))
    with pytest.raises(AssetError, match="lost.bin"):
        assets.fetch("tiny")
    offer(PyPIWheel("tinywheel==1.0", {"data": "tinywheel/model.bin"}, platform))
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT


def packed_tar(**files: bytes) -> bytes:
    """A .tar.gz of these files; a double underscore in a name stands for the slash."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def sdist(monkeypatch, tmp_path) -> Path:
    """A source archive, offered to pip in place of PyPI, that notes in the file "ran" that its code was run."""
    backend = f"""
from pathlib import Path
Path({str(tmp_path / "ran")!r}).touch()
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = Path(folder, "tinysdist-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: tinysdist\\nVersion: 1.0\\n")
    return info.name
"""
    root = tmp_path / "tree" / "tinysdist-1.0"
    root.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n')
    (root / "own.py").write_text(backend)
    (root / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tinysdist\nVersion: 1.0\n")
    (root / "model.bin").write_bytes(CONTENT)
    (root / "inner.tar.gz").write_bytes(packed_tar(inner__other=OTHER))
    (tmp_path / "offered").mkdir()
    with tarfile.open(tmp_path / "offered" / "tinysdist-1.0.tar.gz", "w:gz") as archive:
        archive.add(root, root.name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "offered"))
    return tmp_path / "offered" / "tinysdist-1.0.tar.gz"


def test_a_source_archive_gives_its_members_and_those_of_an_archive_in_it(offer, sdist):
    sha256 = file_of(sdist.read_bytes()).sha256
    members = {"data": "tinysdist-1.0/model.bin", "other": "tinysdist-1.0/inner.tar.gz!/inner/other"}
    offer(PyPISdist("tinysdist==1.0", sha256, members), data=CONTENT, other=OTHER)
    folder = assets.fetch("tiny")
    assert (folder / "data").read_bytes() == CONTENT and (folder / "other").read_bytes() == OTHER
    for lost, said in (
        ("tinysdist-1.0/lost.bin", "lost"),
        ("tinysdist-1.0/lost.tar.gz!/inner/other", "lost"),
        ("tinysdist-1.0/inner.tar.gz!/lost", "lost"),
        ("tinysdist-1.0", "no file"),
        ("tinysdist-1.0!/inner/other", "no file"),
    ):
        shutil.rmtree(assets.installed("tiny"))
        offer(PyPISdist("tinysdist==1.0", sha256, {"data": lost}))
        with pytest.raises(AssetError, match=f"cannot be unpacked: .*{said}"):
            assets.fetch("tiny")
        offer(PyPISdist("tinysdist==1.0", sha256, members))
        assets.fetch("tiny")


def test_a_source_archive_with_another_hash_is_refused_before_its_code_is_run(offer, sdist, tmp_path):
    members = {"data": "tinysdist-1.0/model.bin"}
    offer(PyPISdist("tinysdist==1.0", "0" * 64, members))
    with pytest.raises(AssetError, match="tinysdist"):
        assets.fetch("tiny")
    assert not (tmp_path / "ran").exists()
    # The trap works: pip runs the code of the archive that has the right hash.
    offer(PyPISdist("tinysdist==1.0", file_of(sdist.read_bytes()).sha256, members))
    assets.fetch("tiny")
    assert (tmp_path / "ran").exists()


@pytest.mark.skipif(not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="needs Debian or Ubuntu")
def test_a_debian_package_gives_its_members_from_a_package_list_of_our_own(offer, monkeypatch, tmp_path):
    tree, mirror = tmp_path / "tree", tmp_path / "mirror"
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share/data.gz").write_bytes(gzip.compress(CONTENT))
    (tree / "DEBIAN").mkdir()
    fields = "Package: tiny-data\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: tiny\n"
    (tree / "DEBIAN/control").write_text(fields)
    mirror.mkdir()
    package = mirror / "tiny-data_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(package)], check=True, capture_output=True)
    described = file_of(package.read_bytes())
    listed = f"{fields}Filename: ./{package.name}\nSize: {described.size}\nSHA256: {described.sha256}\n"
    (mirror / "Packages").write_text(listed)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{mirror} ./\n")
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Etc::sourceparts "-";')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    offer(DebianPackage("tiny-data", {"data": "usr/share/data.gz"}))
    assert (assets.fetch("tiny") / "data").read_bytes() == CONTENT
    shutil.rmtree(assets.installed("tiny"))
    offer(DebianPackage("no-such-data", {"data": "usr/share/data.gz"}))
    with pytest.raises(AssetError, match="Unable to locate package no-such-data"):
        assets.fetch("tiny")


def publish(server: Server, name: str, damage: bool = False, **members: bytes) -> None:
    """Makes the server a registry of npm that has version 1.0.0 of a package with these files."""
    described = {"package.json": json.dumps({"name": name, "version": "1.0.0"}).encode()}
    body = packed_tar(**{f"package/{member}": content for member, content in (described | members).items()})
    where = f"{name.replace('/', '-')}.tgz"
    integrity = f"sha512-{base64.b64encode(hashlib.sha512(body).digest()).decode()}"
    dist = {"tarball": f"http://127.0.0.1:{server.server_port}/{where}", "integrity": integrity}
    version = {"name": name, "version": "1.0.0", "dist": dist}
    listed = json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}})
    server.contents[name.replace("/", "%2f")] = listed.encode()
    server.contents[where] = body[:-200] if damage else body


@pytest.fixture
def registry(server, monkeypatch):
    """A server that npm asks for packages."""
    if not shutil.which("npm"):
        pytest.skip("this system has no npm")
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    return server


def test_packages_of_npm_give_their_files_without_being_installed(registry, offer, home):
    run = json.dumps({"name": "@tiny/one", "version": "1.0.0", "scripts": {"prepack": "exit 1", "install": "exit 1"}})
    publish(registry, "@tiny/one", **{"data.json": CONTENT, "package.json": run.encode()})
    publish(registry, "two", **{"deep/other": OTHER})
    members = {"one/data": "@tiny/one@1.0.0/data.json", "two/other": "two@1.0.0/deep/other"}
    offer(source := NpmPackages(members), **{"one/data": CONTENT, "two/other": OTHER})
    assert str(source) == "npm's @tiny/one@1.0.0, two@1.0.0"
    folder = assets.fetch("tiny")
    assert (folder / "one/data").read_bytes() == CONTENT and (folder / "two/other").read_bytes() == OTHER
    assert {path.name for path in home.rglob("*") if path.is_file()} == {"data", "other", store.MARKER, ".1.lock"}

    registry.asked.clear()
    (folder / "two/other").write_bytes(b"short")
    assets.fetch("tiny")
    assert {asked.split("/")[-1] for asked, _ in registry.asked} <= {"two", "two.tgz"}, "only what is damaged is fetched"


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("tiny-package@1.0.0/lost", "lost"),
        ("tiny-package@2.0.0/data", "No matching version found for tiny-package@2.0.0"),
        ("no-such-package@1.0.0/data", "Not Found"),
        ("damaged-package@1.0.0/data", "sha512|EINTEGRITY|integrity"),
    ],
)
def test_what_npm_cannot_give_is_said(registry, offer, member, said):
    publish(registry, "tiny-package", data=CONTENT)
    publish(registry, "damaged-package", damage=True, data=CONTENT)
    offer(NpmPackages({"data": member}))
    with pytest.raises(AssetError, match=said):
        assets.fetch("tiny")
    assert assets.installed("tiny") is None


def test_an_archive_of_npm_whose_second_half_is_something_else_is_said_to_be_damaged(offer, monkeypatch):
    content = gzip.decompress(packed_tar(package__data=CONTENT))
    packed = gzip.compress(content[: len(content) // 2]) + b"something else"

    def run_program(command, scratch, title, progress):
        (scratch / "tiny-1.0.0.tgz").write_bytes(packed)
        return 0, ""

    monkeypatch.setattr(sources, "run_program", run_program)
    monkeypatch.setattr(sources.shutil, "which", lambda program: program)
    offer(NpmPackages({"data": "tiny@1.0.0/data"}))
    with pytest.raises(AssetError, match="tiny-1.0.0.tgz cannot be unpacked: Not a gzipped file"):
        assets.fetch("tiny")


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.skipif(not shutil.which("npm"), reason="this system has no npm")
def test_npm_gives_the_emoji_of_the_manifest(home):
    asset = assets.ASSETS["emoji"]
    [source] = (source for source in asset.sources if isinstance(source, NpmPackages))
    store.install(asset, home / "emoji", [source], progress=False)
    assert all(not store.problem_of(home / "emoji" / path, file) for path, file in asset.files.items())


def test_a_full_disk_is_said_and_leaves_nothing_half_installed(server, offer, home, monkeypatch):
    offer(server.at())

    def opened(path, mode):
        """A file on a disk that has room for 100 kB."""
        file = open(path, mode)
        write = file.write
        written = []

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, piece):
                written.append(write(piece[: 100_000 - sum(written)]))
                if sum(written) == 100_000:
                    raise OSError(28, os.strerror(28))

        return Full()

    monkeypatch.setattr(download, "open", opened, raising=False)
    with pytest.raises(CourseError, match="disk is full"):
        assets.fetch("tiny")
    assert assets.installed("tiny") is None
    assert hidden_bytes(home) == 0


def test_a_cache_folder_that_cannot_be_written_is_named(server, offer, tmp_path, monkeypatch):
    offer(server.at())
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "file"))
    with pytest.raises(CourseError, match=f"Cannot write {tmp_path / 'file'}"):
        assets.fetch("tiny")


def test_an_unknown_asset_is_answered_with_the_known_ones_and_the_closest():
    for ask in (assets.fetch, assets.installed, lambda name: assets.verify([name])):
        with pytest.raises(AssetError, match="Did you mean 'fashion'.*minilm.*wordnet"):
            ask("fashoin")


@pytest.mark.parametrize("asset", assets.ASSETS.values(), ids=lambda asset: asset.name)
def test_every_source_of_the_manifest_offers_every_file(asset):
    assert asset.sources and asset.files and asset.licence and asset.citation and asset.note and asset.contents
    for source in asset.sources:
        offered = source.urls if isinstance(source, Upstream) else source.members
        assert offered.keys() == asset.files.keys()
    assert all(len(bytes.fromhex(file.sha256)) == 32 and file.size > 0 for file in asset.files.values())


def test_the_fashion_addresses_are_those_of_torchvision():
    from torchvision.datasets import FashionMNIST

    theirs = {mirror + name for mirror in FashionMNIST.mirrors for name, _ in FashionMNIST.resources}
    upstream = next(source for source in assets.ASSETS["fashion"].sources if isinstance(source, Upstream))
    assert set(upstream.urls.values()) <= theirs


def test_importing_the_assets_loads_no_heavy_library_and_opens_no_connection():
    program = (
        "import socket, sys; socket.socket.connect = None; import fewshot_lab.assets; "
        "sys.exit(bool({'torch', 'requests', 'tqdm', 'filelock', 'platformdirs'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
