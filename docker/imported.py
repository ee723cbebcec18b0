"""Prints the source file of every module that the camera imports, one a line, below a folder.

The image holds the byte code of these and of no others: it has nowhere to write it when it runs,
and that of everything would take as much room as a second FFmpeg.
"""

import importlib
import pkgutil
import sys

import camera_app
from camera_app.inference import choose_runtime

# Imported when they are first needed, by the camera or by what it uses.
LATER = ("ai_edge_litert.interpreter", "av", "cv2", "encodings.idna", "sqlite_utils", "stringprep")


def import_all() -> None:
    """Import the whole camera, the demo and what is for a desk aside."""
    for module in pkgutil.walk_packages(camera_app.__path__, "camera_app."):
        if module.name.split(".")[1] not in {"__main__", "demo"}:
            importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)
    choose_runtime()


if __name__ == "__main__":
    import_all()
    files = {getattr(module, "__file__", None) or "" for module in sys.modules.values()}
    print("\n".join(sorted(f"{sys.argv[1]}{file}" for file in files if file.endswith(".py"))))
