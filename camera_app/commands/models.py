"""`camera-app models`: which networks are known, what they are, whether their weights are right."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

from tqdm import tqdm

from camera_app.errors import ModelError, PackRejected, UsageError
from camera_app.inference import check_known_answers
from camera_app.models import (
    SIGNING_KEY_VARIABLE,
    TRUSTED_VARIABLE,
    ModelPack,
    PrivateKey,
    Terms,
    cache_folder,
    catalogue_names,
    fetch,
    find_pack,
    locate_weights,
    new_private_key,
    read_private_key,
    sha256_of,
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


FIRST_USE = """WARNING: {file}
  was taken as it came from {url}
  Nobody has published its hash, so nothing tells whether it is the file that others get.
  Its SHA-256 is {sha256}
  It is written down beside the file, and no other file will be taken in its place from now on.
"""


class State(StrEnum):
    """How it stands with the weights of a pack."""

    OK = "ok"
    NOT_FETCHED = "not fetched"
    MISSING = "missing"
    WRONG = "wrong"


class Vouched(StrEnum):
    """What says that a downloaded file is the right one."""

    MANIFEST = "manifest"
    FIRST_USE = "first use"


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
    verify = _add(
        actions, "verify", verify_models, "check signature, files, weights and known answers"
    )
    verify.add_argument(
        "models",
        metavar="PACK",
        nargs="*",
        help="default: the whole catalogue, save weights that were never fetched",
    )
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
    _configure_fetch(actions)


def _configure_fetch(actions: Any) -> None:
    text = "download weights into the cache folder, with those for an Edge TPU"
    get = _add(actions, "fetch", fetch_models, text)
    get.add_argument("models", metavar="PACK", nargs="*", help="name or folder")
    get.add_argument("--all", action="store_true", help="all packs that have an address")
    get.add_argument(
        "--accept-unpinned",
        action="store_true",
        help="take files whose hash nobody has published as they come, and hold to them then",
    )
    get.add_argument(
        "--allow-http",
        action="store_true",
        help="take addresses without TLS, which anyone can fake",
    )


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
    """Check signatures, files, weights and known answers; 1 if some are missing or wrong."""
    records = [_verified(name) for name in arguments.models or catalogue_names()]
    if arguments.json:
        _print_json(records)
    else:
        for record in records:
            sys.stdout.write(f"{record['name']}: {record['error'] or _all_is_well(record)}\n")
    accepted = {State.OK} if arguments.models else {State.OK, State.NOT_FETCHED}
    return 0 if all(record["state"] in accepted for record in records) else 1


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
    if bool(arguments.models) == arguments.all:
        raise UsageError("either name packs, or give --all", where="models fetch")
    names = _names_with_address() if arguments.all else arguments.models
    terms = Terms(accept_unpinned=arguments.accept_unpinned, allow_http=arguments.allow_http)
    records = [record for name in names for record in _fetched_files(name, terms)]
    if arguments.json:
        _print_json(records)
    else:
        for record in records:
            sys.stdout.write(f"{record['name']}: {record['error'] or record['weights']}\n")
    return 0 if all(record["ok"] for record in records) else 1


def _names_with_address() -> list[str]:
    """Return the packs of the catalogue that can be fetched, or say why not."""
    records = [_found(name) for name in catalogue_names()]
    return [record["name"] for record in records if record["url"] or record["state"] == State.WRONG]


def _fetched_files(name: str, terms: Terms) -> list[dict[str, Any]]:
    """Fetch what belongs to a pack: its file for the CPU, and its twin's for the Edge TPU."""
    try:
        pack = find_pack(name)
    except PackRejected as refusal:
        return [_fetch_record(name, "", error=str(refusal))]
    return [_fetched(each, terms) for each in (pack, pack.twin) if each is not None]


def _fetched(pack: ModelPack, terms: Terms) -> dict[str, Any]:
    file = pack.weights.file
    # Only a terminal has somebody who watches a bar.
    with tqdm(
        total=pack.weights.size_bytes or None,
        desc=file,
        unit="B",
        unit_scale=True,
        disable=None,
    ) as bar:
        try:
            weights = fetch(pack, cache_folder(), progress=bar.update, terms=terms)
        except ModelError as refusal:
            return _fetch_record(pack.name, file, error=str(refusal))
    sha256 = sha256_of(weights)
    if not pack.sha256:
        sys.stderr.write(FIRST_USE.format(file=weights, url=pack.weights.url, sha256=sha256))
    vouched = Vouched.FIRST_USE if pack.weights.unpinned else Vouched.MANIFEST
    return _fetch_record(pack.name, file, weights=str(weights), sha256=sha256, vouched=vouched)


def _fetch_record(
    name: str,
    file: str,
    *,
    weights: str = "",
    sha256: str = "",
    vouched: str = "",
    error: str = "",
) -> dict[str, Any]:
    return {
        "name": name,
        "file": file,
        "ok": not error,
        "weights": weights,
        "sha256": sha256,
        "vouched_by": vouched,
        "error": error,
    }


def _found(name: str) -> dict[str, Any]:
    """Return a pack as a line of the list, even one that is refused."""
    try:
        return _checked(find_pack(name))
    except PackRejected as refusal:
        unknown = {"task": "", "family": "", "input": "", "labels": 0, "signed_by": "", "url": ""}
        error = {"state": State.WRONG, "ok": False, "weights": "", "error": str(refusal)}
        return {"name": name, **unknown, **error}


def _verified(name: str) -> dict[str, Any]:
    """Return a pack as a line of the list, with what it says to the inputs that are known."""
    record: dict[str, Any] = {**_found(name), "known_answers": []}
    if not record["ok"]:
        return record
    try:
        answers = check_known_answers(find_pack(name))
    except ModelError as refusal:
        return {**record, "state": State.WRONG, "ok": False, "error": str(refusal)}
    record["known_answers"] = [dataclasses.asdict(answer) for answer in answers]
    wrong = [str(answer) for answer in answers if not answer.is_within]
    if wrong:
        error = f"the known answers are wrong: {'; '.join(wrong)}"
        record.update(state=State.WRONG, ok=False, error=error)
    return record


def _all_is_well(record: dict[str, Any]) -> str:
    answers = record["known_answers"]
    if not answers:
        return f"ok, {record['weights']}"
    count = len({answer["input"] for answer in answers})
    worst = max(answers, key=lambda answer: answer["steps"] / max(answer["limit_steps"], 1.0))
    return (
        f"ok, {record['weights']}; {count} known answers are right, the farthest off by "
        f"{worst['steps']:.2f} steps of {worst['limit_steps']:.2f} allowed "
        f"({worst['input']}, {worst['output']})"
    )


def _checked(pack: ModelPack) -> dict[str, Any]:
    """Return a pack as a line of the list, its weights looked for and hashed."""
    weights, error, state = "", "", State.OK
    try:
        weights = str(locate_weights(pack))
    except PackRejected as refusal:
        error, state = str(refusal), State.WRONG
    except ModelError as refusal:
        error = str(refusal)
        state = State.NOT_FETCHED if pack.weights.url else State.MISSING
    found = {"state": state, "ok": state is State.OK, "weights": weights, "error": error}
    return {**_summary(pack), **found}


def _summary(pack: ModelPack) -> dict[str, Any]:
    return {
        "name": pack.name,
        "task": pack.task.value,
        "family": pack.family,
        "input": str(pack.input.size),
        "labels": len(pack.labels),
        "signed_by": pack.signed_by,
        "url": pack.weights.url,
    }


def _details(pack: ModelPack) -> dict[str, Any]:
    return {
        **_checked(pack),
        "labels": list(pack.labels),
        "fit": pack.input.fit.value,
        "colour": pack.input.colour.value,
        "sha256": pack.sha256,
        "size_bytes": pack.weights.size_bytes,
        "digest": pack.digest,
        "folder": str(pack.folder),
        "decode": pack.decode.model_dump(mode="json"),
        "licence": pack.licence.model_dump(),
        "card": pack.card.model_dump(),
        "edgetpu": None if pack.edgetpu is None else pack.edgetpu.model_dump(),
        "smaller": pack.smaller,
        "training": None if pack.training is None else pack.training.model_dump(mode="json"),
        "files": dict(pack.files),
    }


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _print_table(records: list[dict[str, Any]]) -> None:
    sys.stdout.write(f"{'name':33} {'task':14} {'family':16} {'input':8} {'labels':>6}  weights\n")
    for record in records:
        sys.stdout.write(
            f"{record['name']:33} {record['task']:14} {record['family']:16} "
            f"{record['input']:8} {record['labels']:6}  {record['state']}\n"
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
        "under load": record["smaller"],
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
