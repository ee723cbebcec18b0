"""Takes the picture of the README from the demo: `python -m tools.docs.picture demo-out`."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import cv2

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo.jpg"
AT_S = 19.8  # both people stand in the middle
QUALITY = 88


def main() -> int:
    """Write the frame of the annotated film at `AT_S` as JPEG."""
    film = Path(sys.argv[1]) / "annotated.mp4"
    with av.open(str(film)) as container:
        frame = next(frame for frame in container.decode(video=0) if frame.time >= AT_S)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    bgr = frame.to_ndarray(format="bgr24")
    cv2.imwrite(str(PICTURE), bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
