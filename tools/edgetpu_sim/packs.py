"""Gives a model pack a twin for simulated sticks, so that they can run it.

The result is a pack of its own, signed with a key of whoever makes it; nothing of it is of use on
a real stick.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from camera_app.models import ModelPack, PrivateKey, locate_weights, sign_pack
from camera_app.models.pack import MANIFEST
from tools.edgetpu_sim.compiler import compile_file
from tools.edgetpu_sim.errors import SimulationError

KNOWN_ANSWERS = "known_answers.json"
NOTHING_KNOWN = {
    "schema": 1,
    "made_with": "no network",
    "answers": [{"input": "gradient", "outputs": [], "detections": []}],
}
_KNOWN_ANSWERS = re.compile(r"^\[known_answers\]\n(?:[^\[].*\n|\n)*", re.MULTILINE)


def make_twin_pack(
    pack: ModelPack,
    folder: Path,
    key: PrivateKey,
    *,
    name: str = "",
    edgetpu_file: Path | None = None,
    has_known_answers: bool = True,
) -> ModelPack:
    """Copy a pack with its weights into a new folder, and put a file for simulated sticks in.

    Args:
        pack: To be copied.
        folder: Must not be there yet.
        key: Signs the copy; whoever reads the copy must trust it.
        name: Of the copy; empty: as before.
        edgetpu_file: A file that was compiled before; None: the weights are compiled.
        has_known_answers: Keep those of the pack; a file that computes nothing gives none of them.

    Raises:
        SimulationError: The pack has a file for an Edge TPU already, or nothing to compile.
        ModelError: The weights are missing or wrong.
    """
    if pack.edgetpu is not None:
        raise SimulationError("this pack has a file for an Edge TPU already", where=pack.name)
    weights = locate_weights(pack)
    shutil.copytree(pack.folder, folder)
    target = folder / f"{Path(pack.weights.file).stem}_edgetpu.tflite"
    if not (folder / pack.weights.file).exists():
        shutil.copyfile(weights, folder / pack.weights.file)
    if edgetpu_file is None:
        compile_file(weights, target)
    else:
        shutil.copyfile(edgetpu_file, target)
    manifest = folder / MANIFEST
    text = _edited(manifest.read_text(), target.name, name or pack.name)
    manifest.write_text(text if has_known_answers else _KNOWN_ANSWERS.sub("", text))
    return sign_pack(folder, key)


def make_blank_pack(pack: ModelPack, folder: Path, key: PrivateKey, *, name: str) -> ModelPack:
    """Copy a pack, and give it a file for simulated sticks that finds nothing, at no cost.

    What an answer takes is then what the stick's lever says, however busy the processor is. The
    stick is asked for a known answer as with any pack: that there is nothing in a plain picture.

    Raises:
        SimulationError: As `make_twin_pack`.
        ModelError: The same.
    """
    with tempfile.TemporaryDirectory() as made:
        blank = Path(made) / "blank.tflite"
        compile_file(locate_weights(pack), blank, is_blank=True)
        make_twin_pack(pack, folder, key, name=name, edgetpu_file=blank)
    (folder / KNOWN_ANSWERS).write_text(json.dumps(NOTHING_KNOWN))
    manifest = folder / MANIFEST
    text = manifest.read_text()
    if "[known_answers]" not in text:
        table = f'[known_answers]\nfile = "{KNOWN_ANSWERS}"\n\n[files]\n'
        manifest.write_text(text.replace("[files]\n", table, 1))
    return sign_pack(folder, key)


def _edited(text: str, file: str, name: str) -> str:
    # Hash and length are brought up to date when the pack is signed.
    table = f'[edgetpu]\nfile = "{file}"\nsha256 = "{"0" * 64}"\nsize_bytes = 1\n\n[input]\n'
    renamed = re.sub(r'^name = ".*"$', f'name = "{name}"', text, count=1, flags=re.MULTILINE)
    return renamed.replace("[input]\n", table, 1)
