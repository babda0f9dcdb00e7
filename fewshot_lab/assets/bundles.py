"""Bundles: one folder with verified copies of assets, for machines without a network."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..files import locked, write_atomically
from ..languages import say
from .sources import Folder
from .store import AssetError, fetch, get_asset, install, install_folder, installed, problem_of, verify


def bundle(folder: Path, names: Sequence[str]) -> Path:
    """Writes verified copies of the assets and a manifest.json into one folder for machines without a network.

    Fetches what is not installed; adds to a bundle that exists. Raises AssetError or CourseError as `fetch` does.
    """
    folder = Path(folder).expanduser()
    assets = [get_asset(name) for name in names]
    contents = _contents(folder) if (folder / "manifest.json").exists() else {}
    for asset in assets:
        fetch(asset.name)
        # A bundle may travel far: every file is hashed before, and a damaged one fetched again.
        if verify([asset.name]):
            fetch(asset.name)
        source = Folder(install_folder(asset), say("the cache folder"))
        target = folder / asset.name / asset.version
        with locked(target, say("Another process writes {target}; waiting for it.", target=target)):
            install(asset, target, [source], progress=False)
        contents[asset.name] = {
            "version": asset.version,
            "licence": asset.licence,
            "citation": asset.citation,
            "files": {path: file._asdict() for path, file in asset.files.items()},
        }
        # After each asset, so that an interrupted bundle is a valid one with fewer assets.
        write_atomically(folder / "manifest.json", json.dumps({"assets": contents}, indent=2) + "\n")
    return folder


def use(folder: Path) -> list[Path]:
    """Installs all assets of a bundle and returns their folders; installs none when one of its files is corrupted.

    Raises AssetError for a folder that is no bundle, for a bundle of another version, and for a file that differs from this
    course's manifest.
    """
    folder = Path(folder).expanduser()
    assets = []
    for name, content in _contents(folder).items():
        asset = get_asset(name)
        if content["version"] != asset.version:
            raise AssetError(
                say(
                    "The bundle {folder} holds {name} {content}, this course needs {version}. Make the bundle again "
                    "with the same version of the course.",
                    folder=folder,
                    name=name,
                    content=content["version"],
                    version=asset.version,
                )
            )
        assets.append(asset)
    problems = [
        f"  {folder / asset.name / asset.version / path} {problem}"
        for asset in assets
        for path, file in asset.files.items()
        if (problem := problem_of(folder / asset.name / asset.version / path, file))
    ]
    if problems:
        listed = "\n".join(problems)
        raise AssetError(
            say(
                "The bundle {folder} is corrupted, nothing was installed:\n{listed}\nCopy or make it again.",
                folder=folder,
                listed=listed,
            )
        )
    for asset in assets:
        target = install_folder(asset)
        with locked(target, say("{name} is being installed by another process; waiting for it.", name=asset.name)):
            if not installed(asset.name):
                source = Folder(folder / asset.name / asset.version, say("the bundle {folder}", folder=folder))
                install(asset, target, [source], progress=False)
    return [install_folder(asset) for asset in assets]


def _contents(folder: Path) -> dict:
    """The assets of a bundle's manifest.json; raises AssetError where it is missing or damaged."""
    try:
        contents = json.loads((folder / "manifest.json").read_text())["assets"]
        for content in contents.values():
            content["version"]  # raises KeyError or TypeError where it is missing
        return contents
    except FileNotFoundError as error:
        advice = say("Make one with `fewshot-lab assets bundle FOLDER`, or give the folder that holds manifest.json.")
        raise AssetError(
            say("{folder} is no bundle: it has no manifest.json. {advice}", folder=folder, advice=advice)
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        unreadable = say("{path} cannot be read ({error})", path=folder / "manifest.json", error=error)
        raise AssetError(say("{unreadable}. Copy or make the bundle again.", unreadable=unreadable)) from error
