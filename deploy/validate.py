"""Validate: checks rendered manifests, strictly, against the oldest and the newest Kubernetes schemas.

validate.py FILE...    status 1 if a file is not valid; kinds that have no schema are listed by name
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import kubernetes_validate
import yaml

VERSIONS = ("1.25", kubernetes_validate.latest_version())
"""1.25 is the first with all that the overlays use, policy/v1 among it, in the form it has today."""


def main(paths: list[str]) -> int:
    """Validate every document of every file; the exit status."""
    faults: list[str] = []
    unknown: set[str] = set()
    for path in paths:
        for resource in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")):
            name = f"{resource['kind']}/{resource['metadata']['name']}"
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(resource, version, strict=True)
                except kubernetes_validate.SchemaNotFoundError:
                    unknown.add(f"{resource['apiVersion']} {resource['kind']}")
                except kubernetes_validate.ValidationError as error:
                    faults.append(f"{path}: {name}, Kubernetes {version}, {error.json_path}: {error.message}")
    print(f"validated {', '.join(paths)} against Kubernetes {' and '.join(VERSIONS)}")
    if unknown:
        print(f"kinds without a schema, not validated: {', '.join(sorted(unknown))}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.exit(main(sys.argv[1:]))
