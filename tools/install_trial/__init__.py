"""Tries the installer from nothing: a fresh Debian, booted with a systemd of its own."""
