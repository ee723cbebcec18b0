"""What is written to standard error: in which form, how often, and never with a secret in it."""

from camera_app.logs.begin import (
    CREDENTIALS_VARIABLE,
    LogCounts,
    begin_logging,
    counts,
)
from camera_app.logs.formats import about_camera
from camera_app.logs.redaction import (
    MASK,
    keep_address_secret,
    keep_file_secret,
    keep_misplaced_secret,
    keep_secret,
    redact,
)
from camera_app.logs.tap import error_output_of

__all__ = [
    "CREDENTIALS_VARIABLE",
    "MASK",
    "LogCounts",
    "about_camera",
    "begin_logging",
    "counts",
    "error_output_of",
    "keep_address_secret",
    "keep_file_secret",
    "keep_misplaced_secret",
    "keep_secret",
    "redact",
]
