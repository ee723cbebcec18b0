"""`camera-app models`: which networks are known, what they are, whether their weights are right."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from camera_app.errors import ModelError, PackRejected, UsageError
from camera_app.models import (
    SIGNING_KEY_VARIABLE,
    TRUSTED_VARIABLE,
    ModelPack,
    PrivateKey,
    cache_folder,
    catalogue_names,
    fetch,
    find_pack,
    locate_weights,
    new_private_key,
    read_private_key,
    sign_pack,
    trusted_keys,
)

MOST_LABELS = 8  # are shown to a person; --json has them all

DESCRIPTION = """Model packs: a manifest that describes a network, and its weights.

A pack is named by its name in the catalogue, by its folder, or by its weights file."""

HOW_TO_TRUST = """{key}

To trust what it signs, in the configuration:
  [models]
  trusted_keys = ["{key}"]
and for commands without one, in the environment:
  export {variable}={key}
"""

EPILOGUE = "exit codes: 0 all is well, 1 something is missing or wrong, 2 not understood"


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "models",
        help="list, show, check, sign and download model packs",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add(actions, "list", list_models, "list the packs of the catalogue")
    show = _add(actions, "show", show_model, "show all that is known about a pack")
    show.add_argument("model", metavar="PACK", help="name, folder or weights file")
    verify = _add(actions, "verify", verify_models, "check signature, files and weights")
    verify.add_argument("models", metavar="PACK", nargs="*", help="default: the whole catalogue")
    sign = _add(actions, "sign", sign_models, "sign packs of your own, as they stand")
    sign.add_argument("folders", metavar="FOLDER", nargs="+", type=Path, help="with manifest.toml")
    sign.add_argument(
        "--key",
        type=Path,
        default=os.environ.get(SIGNING_KEY_VARIABLE),
        metavar="FILE",
        help=f"private key; default: {SIGNING_KEY_VARIABLE}",
    )
    _configure_keys(actions)
    get = _add(actions, "fetch", fetch_models, "download weights into the cache folder")
    get.add_argument("models", metavar="PACK", nargs="+", help="name or folder")


def _configure_keys(actions: Any) -> None:
    text = "make a key to sign with, or show the keys that are trusted"
    keys = actions.add_parser("keys", help=text, description=f"{text[0].upper()}{text[1:]}.")
    ways = keys.add_subparsers(dest="way", required=True, metavar="WAY")
    new = _add(ways, "new", new_key, "make a private key and print its public one")
    new.add_argument("file", metavar="FILE", type=Path, help="a new file, for your eyes only")
    show = _add(ways, "show", show_key, "print the public key of a private one")
    show.add_argument("file", metavar="FILE", type=Path)
    _add(ways, "list", list_keys, "list the keys whose signatures count")


def _add(actions: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=EPILOGUE
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(run=run)
    return parser


def list_models(arguments: argparse.Namespace) -> int:
    """Print the packs of the catalogue, and where their weights are."""
    records = [_found(name) for name in catalogue_names()]
    if arguments.json:
        _print_json(records)
    else:
        _print_table(records)
    return 0


def show_model(arguments: argparse.Namespace) -> int:
    """Print all that is known about one pack."""
    pack = find_pack(arguments.model)
    record = _details(pack)
    if arguments.json:
        _print_json(record)
    else:
        _print_details(record)
    return 0


def verify_models(arguments: argparse.Namespace) -> int:
    """Check signatures, files and weights; 1 if some are missing or wrong."""
    records = [_found(name) for name in arguments.models or catalogue_names()]
    if arguments.json:
        _print_json(records)
    else:
        for record in records:
            sys.stdout.write(f"{record['name']}: {record['error'] or 'ok, ' + record['weights']}\n")
    return 0 if all(record["ok"] for record in records) else 1


def sign_models(arguments: argparse.Namespace) -> int:
    """Sign packs; 1 if some are wrong."""
    if arguments.key is None:
        raise UsageError(
            "no key to sign with",
            remedy=f"Give --key FILE or set {SIGNING_KEY_VARIABLE}; "
            "`camera-app models keys new FILE` makes one",
        )
    key = read_private_key(arguments.key)
    records = [_signed(folder, key) for folder in arguments.folders]
    if arguments.json:
        _print_json({"public": key.public, "packs": records})
    else:
        for record in records:
            said = record["error"] or f"{record['folder']}: {record['name']} is signed"
            sys.stdout.write(f"{said}\n")
    return 0 if all(record["ok"] for record in records) else 1


def _signed(folder: Path, key: PrivateKey) -> dict[str, Any]:
    name, error = "", ""
    try:
        name = sign_pack(folder, key).name
    except PackRejected as refusal:
        error = str(refusal)
    return {"folder": str(folder), "name": name, "ok": not error, "error": error}


def new_key(arguments: argparse.Namespace) -> int:
    """Make a private key and print its public one."""
    return _print_public(arguments, new_private_key(arguments.file))


def show_key(arguments: argparse.Namespace) -> int:
    """Print the public key of a private one."""
    return _print_public(arguments, read_private_key(arguments.file))


def _print_public(arguments: argparse.Namespace, key: PrivateKey) -> int:
    if arguments.json:
        _print_json({"file": str(arguments.file), "public": key.public})
    else:
        sys.stdout.write(HOW_TO_TRUST.format(key=key.public, variable=TRUSTED_VARIABLE))
    return 0


def list_keys(arguments: argparse.Namespace) -> int:
    """Print the keys whose signatures count, and those that were retired."""
    keys = list(trusted_keys().values())
    if arguments.json:
        _print_json([dataclasses.asdict(key) for key in keys])
    else:
        for key in keys:
            state = f", retired: {key.retired}" if key.retired else ""
            sys.stdout.write(f"{key.public}  {key.name}{state}\n")
    return 0


def fetch_models(arguments: argparse.Namespace) -> int:
    """Download weights; 1 if some could not be had."""
    records = [_fetched(find_pack(name)) for name in arguments.models]
    if arguments.json:
        _print_json(records)
    else:
        for record in records:
            sys.stdout.write(f"{record['name']}: {record['error'] or record['weights']}\n")
    return 0 if all(record["ok"] for record in records) else 1


def _found(name: str) -> dict[str, Any]:
    """Return a pack as a line of the list, even one that is refused."""
    try:
        return _checked(find_pack(name))
    except PackRejected as refusal:
        unknown = {"task": "", "family": "", "input": "", "labels": 0, "signed_by": ""}
        return {"name": name, **unknown, "ok": False, "weights": "", "error": str(refusal)}


def _checked(pack: ModelPack) -> dict[str, Any]:
    """Return a pack as a line of the list, its weights looked for and hashed."""
    weights, error = "", ""
    try:
        weights = str(locate_weights(pack))
    except ModelError as refusal:
        error = str(refusal)
    return {**_summary(pack), "ok": not error, "weights": weights, "error": error}


def _fetched(pack: ModelPack) -> dict[str, Any]:
    weights, error = "", ""
    # Only a terminal has somebody who watches a bar.
    with tqdm(
        total=pack.weights.size_bytes,
        desc=pack.name,
        unit="B",
        unit_scale=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        try:
            weights = str(fetch(pack, cache_folder(), progress=bar.update))
        except ModelError as refusal:
            error = str(refusal)
    return {"name": pack.name, "ok": not error, "weights": weights, "error": error}


def _summary(pack: ModelPack) -> dict[str, Any]:
    return {
        "name": pack.name,
        "task": pack.task.value,
        "family": pack.family,
        "input": str(pack.input.size),
        "labels": len(pack.labels),
        "signed_by": pack.signed_by,
    }


def _details(pack: ModelPack) -> dict[str, Any]:
    return {
        **_checked(pack),
        "labels": list(pack.labels),
        "fit": pack.input.fit.value,
        "colour": pack.input.colour.value,
        "sha256": pack.sha256,
        "size_bytes": pack.weights.size_bytes,
        "url": pack.weights.url,
        "digest": pack.digest,
        "folder": str(pack.folder),
        "decode": pack.decode.model_dump(mode="json"),
        "licence": pack.licence.model_dump(),
        "card": pack.card.model_dump(),
        "edgetpu": None if pack.edgetpu is None else pack.edgetpu.model_dump(),
        "training": None if pack.training is None else pack.training.model_dump(mode="json"),
        "files": dict(pack.files),
    }


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _print_table(records: list[dict[str, Any]]) -> None:
    sys.stdout.write(f"{'name':30} {'task':14} {'family':16} {'input':8} {'labels':>6}  weights\n")
    for record in records:
        state = "ok" if record["ok"] else "missing or wrong"
        sys.stdout.write(
            f"{record['name']:30} {record['task']:14} {record['family']:16} "
            f"{record['input']:8} {record['labels']:6}  {state}\n"
        )


def _print_details(record: dict[str, Any]) -> None:
    labels = record["labels"]
    more = f" … ({len(labels)} in all)" if len(labels) > MOST_LABELS else ""
    lines = {
        "name": record["name"],
        "summary": record["card"]["summary"],
        "task": f"{record['task']}, family {record['family']}",
        "input": f"{record['input']}, {record['colour']}, {record['fit']}",
        "labels": ", ".join(labels[:MOST_LABELS]) + more,
        "weights": record["weights"] or record["error"],
        "sha256": record["sha256"],
        "licence": record["licence"]["name"],
        "source": record["card"]["source"],
        "changed": record["card"]["derived"],
        **{f"on {name}": text for name, text in record["card"]["measured"].items()},
        "Edge TPU": (record["edgetpu"] or {}).get("file"),
        "trained on": ", ".join((record["training"] or {}).get("data", [])),
        "teacher": (record["training"] or {}).get("teacher"),
        "to repeat": (record["training"] or {}).get("repeat"),
        "manifest": record["folder"],
        "signed by": record["signed_by"],
        "digest": record["digest"],
    }
    for name, text in lines.items():
        if text:
            sys.stdout.write(f"{name + ':':18} {text}\n")
