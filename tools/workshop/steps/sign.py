"""The step `sign`: signs packs as they stand, as `camera-app models sign` does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from camera_app.errors import PackRejected
from camera_app.models import SIGNING_KEY_VARIABLE, read_private_key, sign_pack
from tools.workshop.errors import WorkshopError


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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Sign every pack; 1 if some of them are wrong."""
    if arguments.key is None:
        raise WorkshopError(
            "no key to sign with",
            remedy=f"Give --key FILE or set {SIGNING_KEY_VARIABLE}; "
            "`camera-app models keys new FILE` makes one",
        )
    key = read_private_key(arguments.key)
    refused = 0
    for folder in arguments.folders:
        try:
            print(f"{folder}: {sign_pack(folder, key).name} is signed")
        except PackRejected as refusal:
            refused += 1
            print(refusal)
    return 1 if refused else 0
