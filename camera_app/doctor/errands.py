"""What is tried in children, because it may crash or hang: libraries, networks.

Each entry answers its parent with one JSON object. The parent's side is `asked`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping
from typing import Any

from camera_app.children import Channel, ChannelClosed, ChildProcess
from camera_app.errors import CameraAppError, ModelError, PackRejected

LIBRARIES_ENTRY = f"{__name__}:tell_libraries"
MODELS_ENTRY = f"{__name__}:tell_models"

_LONGEST_REASON = 300


class ChildFailed(Exception):
    """A child gave no answer; the text says how it ended."""


def asked(entry: str, errand: Mapping[str, object], limit_s: float) -> dict[str, Any]:
    """Run an entry of this module in a child and return its answer.

    Raises:
        ChildFailed: It crashed, or said nothing in time.
    """
    child = ChildProcess(entry, errand, name="doctor")
    child.start()
    try:
        packet = child.channel.receive(limit_s)
    except ChannelClosed as error:
        raise ChildFailed(f"its process ended ({child.end(grace_s=1.0)})") from error
    finally:
        child.end()
    if packet is None:
        raise ChildFailed(f"it did not end within {limit_s:.0f} s")
    answer: dict[str, Any] = json.loads(packet.data)
    return answer


def _answer(channel: Channel, answer: Mapping[str, object]) -> None:
    channel.send(json.dumps(answer).encode())  # far below the limit of a packet


# --- in the child --------------------------------------------------------------------------------


def tell_libraries(channel: Channel, errand: Mapping[str, Any]) -> None:
    """Import libraries; tell the version of each, or why it cannot be imported."""
    told = {name: _imported(name) for name in errand["names"]}
    _answer(channel, {**told, "runtime": _runtime()})


def _imported(name: str) -> dict[str, str]:
    try:
        if importlib.util.find_spec(name) is None:
            return {"absent": "yes"}
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        is_itself = error.name is not None and name.startswith(error.name)
        return {"absent": "yes"} if is_itself else {"error": _end(error)}
    except Exception as error:
        # The safety net: a broken library may raise anything, and all of it is the answer.
        return {"error": f"{type(error).__name__}: {_end(error)}"}
    return {"version": str(getattr(module, "__version__", "?"))}


def _runtime() -> dict[str, str]:
    try:
        from camera_app.inference.runtime import choose_runtime

        runtime = choose_runtime()
    except CameraAppError as error:
        return {"error": error.what, "remedy": error.remedy}
    except Exception as error:
        # As above.
        return {"error": f"{type(error).__name__}: {_end(error)}", "remedy": ""}
    return {"name": runtime.name, "version": runtime.version}


def tell_models(channel: Channel, errand: Mapping[str, Any]) -> None:
    """Check a pack: signature, hash, and its known answers on the CPU."""
    _answer(channel, _checked(errand["pack"], errand["trusted"]))


def _checked(name: str, trusted: list[str]) -> dict[str, Any]:
    from camera_app.inference import check_known_answers
    from camera_app.models import find_pack, locate_weights

    stage = "found"
    try:
        pack = find_pack(name, trusted)
        stage = "weights"
        locate_weights(pack)
        stage = "answers"
        answers = check_known_answers(pack)
    except PackRejected as error:
        return {"trouble": "rejected", **_told(error)}
    except ModelError as error:
        trouble = {"found": "unknown", "weights": "missing"}.get(stage, "failed")
        return {"trouble": trouble, **_told(error)}
    except CameraAppError as error:
        return {"trouble": "failed", **_told(error)}
    wrong = [str(answer) for answer in answers if not answer.is_within]
    return {
        "trouble": "wrong_answers" if wrong else "",
        "what": "; ".join(wrong)[:_LONGEST_REASON],
        "where": name,
        "remedy": "",
        "answers": len({answer.input for answer in answers}),
        "labels": list(pack.labels),
        "edgetpu": pack.edgetpu is not None,
        "signed_by": pack.signed_by,
    }


def _told(error: CameraAppError) -> dict[str, str]:
    return {"what": error.what, "where": error.where, "remedy": error.remedy}


def _end(error: Exception) -> str:
    return " ".join(str(error).split())[-_LONGEST_REASON:]
