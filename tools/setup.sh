#!/usr/bin/env bash
# Makes .venv with everything that one kind of use needs. Quick when nothing has changed.
#
#   tools/setup.sh run        the commands and the service
#   tools/setup.sh demo       the same and what the demo scene is made from
#   tools/setup.sh dev        the same and what the tests and checks need
#   tools/setup.sh workshop   the model workshop, in .venv-workshop
#
# Every Python package is installed by version and hash from requirements/; the workshop's by
# version alone, and that list says why. Debian packages are installed where that needs no
# password; otherwise the one line to type is printed.
# CAMERA_APP_PYTHON chooses the Python; without it the first fitting one is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

KIND=${1:-run}
VENV=.venv
WORKSHOP_NEEDS_MB=6000 # 2.6 GB stay; the rest is room for downloads
DEV_PACKAGES="mosquitto mosquitto-clients ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-tools"

say() { echo "setup: $*"; }

fail() {
  echo "setup: $*" >&2
  exit 1
}

# --- Debian packages ---------------------------------------------------------------------------

missing_packages() { # prints those of its arguments that are not installed
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

may_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

install_packages() { # succeeds only when all of its arguments are installed afterwards
  may_install || return 1
  say "installing Debian packages: $*"
  as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

want_packages() { # installs what it can; the rest is the owner's to decide
  local missing
  command -v dpkg-query >/dev/null || return 0
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] && return 0
  install_packages "${missing[@]}" && return 0
  say "some tests are skipped without: sudo apt-get install -y ${missing[*]}"
}

# --- Python ------------------------------------------------------------------------------------

is_fitting() { # a Python we support, able to make an environment with pip in it
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
    2>/dev/null
}

find_python() {
  local candidate
  if [ -n "${CAMERA_APP_PYTHON:-}" ]; then
    is_fitting "$CAMERA_APP_PYTHON" || fail "$CAMERA_APP_PYTHON is no Python 3.11 or newer with venv"
    command -v "$CAMERA_APP_PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if is_fitting "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

choose_python() {
  PYTHON=$(find_python) && return
  [ -z "${CAMERA_APP_PYTHON:-}" ] || exit 1
  install_packages python3 python3-venv >&2 && PYTHON=$(find_python) && return
  fail "needs Python 3.11 or newer with venv: sudo apt-get install -y python3 python3-venv"
}

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || true; }

make_venv() {
  local options=()
  # picamera2 exists only as a Debian package, beside the Python it was built for.
  if [ "$KIND" != workshop ] && "$PYTHON" -c 'import picamera2' 2>/dev/null; then
    say "picamera2 is installed: the environment sees Debian's Python packages"
    options=(--system-site-packages)
  fi
  say "making $VENV with Python $(version_of "$PYTHON")"
  "$PYTHON" -m venv --clear "${options[@]}" "$VENV"
}

needs_venv() {
  [ "$(version_of "$VENV/bin/python")" = "" ] && return 0
  [ -n "${CAMERA_APP_PYTHON:-}" ] &&
    [ "$(version_of "$VENV/bin/python")" != "$(version_of "$CAMERA_APP_PYTHON")" ]
}

# --- Packages ----------------------------------------------------------------------------------

pip_install() { # build isolation would fetch build tools past the locks
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-build-isolation --use-pep517 "$@"
}

install_kind() {
  say "installing what '$KIND' needs; the first time takes minutes"
  pip_install --require-hashes -r requirements/build.txt
  if [ "$KIND" = workshop ]; then
    pip_install --constraint requirements/workshop.txt --editable '.[workshop]'
  else
    pip_install --require-hashes -r "requirements/$KIND.txt"
    pip_install --no-deps --editable .
  fi
}

want_space() { # megabytes
  local free
  free=$(df --output=avail -BM . | tail -n 1 | tr -dc '0-9')
  [ "$free" -ge "$1" ] || fail "needs $1 MB of disk, $free MB are free here"
}

fingerprint() { # of everything that decides what stands in the environment
  cat "requirements/build.txt" "requirements/$1.txt" pyproject.toml | sha256sum | cut -d' ' -f1
}

wide_enough() { # prints the kinds that hold this one
  case $KIND in
  run) echo run demo dev ;;
  demo) echo demo dev ;;
  *) echo "$KIND" ;;
  esac
}

is_installed() {
  local kind
  for kind in $(wide_enough); do
    [ "$(cat "$VENV/setup-$kind" 2>/dev/null)" = "$(fingerprint "$kind")" ] && return 0
  done
  return 1
}

case $KIND in
run | demo) ;;
dev) want_packages $DEV_PACKAGES ;;
workshop) VENV=.venv-workshop ;;
*) fail "no kind '$KIND'; known: run, demo, dev, workshop" ;;
esac

if needs_venv; then
  choose_python
  make_venv
fi
if ! is_installed; then
  [ "$KIND" != workshop ] || want_space $WORKSHOP_NEEDS_MB
  install_kind
  fingerprint "$KIND" >"$VENV/setup-$KIND"
  say "ready: $VENV/bin"
fi
