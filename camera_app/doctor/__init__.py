"""The doctor: looks at everything that a camera needs, and says what is wrong and what to type.

Facts are read at an edge whose roots are handed in (`machine.py`, `service.py`, `errands.py`); what
they mean is judged by pure functions, one area a file (`checks/`). Nothing here disturbs a service
that runs: what it holds is asked for, not opened.
"""

from camera_app.doctor.catalogue import CHECKS, all_kinds
from camera_app.doctor.examination import (
    Report,
    borrowed_credentials,
    examined,
    subject_of,
)
from camera_app.doctor.findings import Finding, Kind, Severity
from camera_app.doctor.machine import Machine
from camera_app.doctor.report import as_json, as_lines
from camera_app.doctor.subject import LIMIT_S, Check, Examined, Subject

__all__ = [
    "CHECKS",
    "LIMIT_S",
    "Check",
    "Examined",
    "Finding",
    "Kind",
    "Machine",
    "Report",
    "Severity",
    "Subject",
    "all_kinds",
    "as_json",
    "as_lines",
    "borrowed_credentials",
    "examined",
    "subject_of",
]
