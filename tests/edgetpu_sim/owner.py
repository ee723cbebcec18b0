"""A process that owns a stick: loads a network as the application does, and runs it when told to.

Run with a network's path and a device. Answers one line to each line `invoke`, and one when ready.
"""

from __future__ import annotations

import sys

from ai_edge_litert.interpreter import Interpreter, load_delegate


def main(network: str, device: str) -> None:
    try:
        delegate = load_delegate("libedgetpu.so.1", {"device": device})
    except ValueError:
        print("refused", flush=True)
        return
    interpreter = Interpreter(network, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    print("ready", flush=True)
    for _ in sys.stdin:
        try:
            interpreter.invoke()
            print("answered", flush=True)
        except RuntimeError as error:
            print(f"failed: {' '.join(str(error).split())}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
