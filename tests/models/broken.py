"""Weights that are none, in `models/broken` of the shared data: each by the name of its file."""

from __future__ import annotations

BROKEN = (
    "empty",
    "truncated_header_12b",
    "truncated_60pct",
    "root_offset_past_end",
    "wrong_identifier",
    "random_bytes_4k",
    "html_error_page",
    "git_lfs_pointer",
    "unresolved_custom_op",
    "per_channel_dim_rejected",
)
