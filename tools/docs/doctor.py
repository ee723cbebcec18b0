"""Writes docs/guide/doctor.md: `python -m tools.docs.doctor`.

What can be found, what it means and what to type stand in the code; here is what leads up to it.
"""

from __future__ import annotations

from pathlib import Path

from camera_app.doctor import CHECKS, LIMIT_S, Kind, all_kinds
from tools.docs.marked import write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "doctor.md"

_HEAD = f"""\
# The doctor

```
camera-app doctor                        # everything
camera-app doctor --config camera.toml   # of this configuration
camera-app doctor --only cameras,broker  # some checks alone
camera-app doctor --json                 # for programs
```

It looks at everything that the camera needs and says of what is wrong what it is, what to do, and
the line to type:

```
ERROR    cameras
  ERROR cameras.locked: front (rtsp://192.168.1.20:554/low): does not let us in
      Check user and password; password_file replaces {{password}} in the source:
      $ sudo install -m 0600 -o camera-app /dev/stdin /etc/camera-app/front-password
ok       broker         hub.lan:8883; MQTT 5, TLS
```

A line that begins with `sudo install … /dev/stdin FILE` waits for the secret, which you type or
paste, and then Ctrl-D: so it is in no list of processes and no history.

Without `--config` it takes the configuration of the service that runs, or else
`/etc/camera-app/camera.toml`; where there is neither, it examines what can be examined without.
In place of a file that is refused, the last good one is examined, which the service runs instead.
All checks are done at once and each has {LIMIT_S:g} seconds (`--deadline`); one that hangs or
fails is itself a finding, and the others are told all the same.

## What it does, and does not

- **It disturbs no service that runs.** A camera at the ribbon or a V4L2 device that the service
  has is not opened: what the service says of it is told instead. No Edge TPU is opened while the
  service runs, nor one that another program has. At the broker it logs in with the same user
  under a client id of its own, and writes one word to `…/events/doctor/set`, on which nobody
  acts. Whether it may write to Home Assistant's discovery topics it asks with a message of QoS 2
  that it never releases, so that nobody gets it: in MQTT 5 the broker says yes or no before that.
  A broker that hands such messages on at once is not asked.
- **It really tries.** A camera is opened in a process of its own until pictures come; networks
  are run and asked for their known answers; the broker is asked whether it lets us write and
  hear.
- **It tells no secret.** Passwords stay in their files; what would still show one is blanked.
- **It tries as whoever asks.** What the service's own user may do is judged by owner, group and
  mode of files and devices. `sudo -u camera-app camera-app doctor` tries as that user.

## Exit codes and JSON

0: nothing is wrong, though there may be warnings and notes. 1: something is wrong; with
`--strict` warnings count too. 2: the words of the call are off.

`--json` prints one object: `schema` (1), `version`, `at`, `config` (null: none), `result` (`ok`,
`note`, `warning` or `error`), `counts` by severity, and `checks`, each with `name`, `state` (as
`result`, or `skipped`), `facts`, `findings`, `skipped` (why), and `took_s` (null: not done in
time). A finding has `kind`, `severity`, `where`, `what`, `remedy` and `line`. A new field does
not change `schema`.
"""


def markdown() -> str:
    """Return the page."""
    lines = [_HEAD, "## The checks", ""]
    lines += ["| check | what it looks at |", "| --- | --- |"]
    lines += [f"| `{check.name}` | {check.about} |" for check in CHECKS]
    lines += ["", "## Everything that it can find", ""]
    lines += ["CAPITALS stand for what is found; PIP for how pip is called where the camera runs."]
    lines += ["", "| finding | | what it is | what to do | the line to type |"]
    lines += ["| --- | --- | --- | --- | --- |", *map(_row, all_kinds())]
    return "\n".join(lines) + "\n"


def _row(kind: Kind) -> str:
    cells = (
        f"`{kind.name}`",
        kind.severity.value,
        kind.meaning,
        kind.shown(kind.remedy),
        f"`{kind.shown(kind.line)}`",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> None:
    """Write the page and say so."""
    write(PAGE, markdown())


if __name__ == "__main__":
    main()
