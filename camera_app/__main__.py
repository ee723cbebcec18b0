"""`python -m camera_app` is `camera-app`."""

import sys

from camera_app.cli import main

sys.exit(main())
