"""The step `sign`: signs packs as they stand, as `camera-app models sign` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from camera_app.commands.models import sign_models
from camera_app.models import SIGNING_KEY_VARIABLE


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "sign",
        help="bring the hashes of packs up to date and sign them",
        description="Bring the hashes in the manifests of packs up to date and sign them. Signing "
        "what has not changed gives the same bytes.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="PACK_FOLDER")
    parser.add_argument(
        "--key",
        type=Path,
        default=os.environ.get(SIGNING_KEY_VARIABLE),
        metavar="FILE",
        help=f"private key; default: {SIGNING_KEY_VARIABLE}",
    )
    parser.set_defaults(run=sign_models, json=False)
