#!/usr/bin/env bash
# Installs camera_app as a service of this machine, from a checkout of a release. As root:
#
#   systemd/install.sh install            installs, or upgrades to, the release that this file is of
#   systemd/install.sh rollback           goes back to the version before, and forth again
#   systemd/install.sh instance NAME      adds another instance: /etc/camera-app/NAME.toml
#   systemd/install.sh status             which versions are here, and how the services do
#   systemd/install.sh uninstall          removes the program; configuration and events stay
#   systemd/install.sh uninstall --purge  removes those, and the user, as well
#
# Afterwards it is also the command camera-app-install. What is done twice changes nothing. Where
# systemd does not run, as in a chroot, everything is put in place and enabled, and nothing started.
#
# A release is complete in a folder of its own, /opt/camera-app/releases/ID; `current` and `previous`
# are links to two of them, changed in one step, and no others are kept. A service that does not come
# up with a new release gets the old one back. CAMERA_APP_PYTHON chooses the Python.
set -euo pipefail

SOURCE=$(dirname "$(dirname "$(readlink -f "$0")")")
BASE=/opt/camera-app
RELEASES=$BASE/releases
CONFIG=/etc/camera-app
LIB=/usr/local/lib # of local software: what the owner puts into /etc wins over it
USER_NAME=camera-app
NEEDS_MB=1000      # a release of 440 MB, what it is made with, and room for downloads
STEADY_S=20        # so long a service has to run after an upgrade
READY_S=60         # so long it may take until it sees and delivers, if it did before
CONTENT="camera_app models requirements/build.txt requirements/run.txt pyproject.toml README.md LICENSE
  systemd docs/guide/install.md"

say() { echo "camera-app-install: $*"; }

fail() {
  echo "camera-app-install: $*" >&2
  exit 1
}

# --- What is here ------------------------------------------------------------------------------

has_systemd() { [ -d /run/systemd/system ]; }

release_of() { # current or previous; prints the folder, nothing if there is none
  local folder
  folder=$(readlink -f "$BASE/$1" 2>/dev/null) || return 0
  [ ! -e "$folder/complete" ] || echo "$folder"
}

running_units() { # our services that run, or are about to
  has_systemd || return 0
  systemctl list-units --plain --no-legend --state=active,activating,reloading \
    'camera-app.service' 'camera-app@*.service' | cut -d' ' -f1
}

configurations() {
  local file
  for file in "$CONFIG"/*.toml; do
    [ ! -f "$file" ] || echo "$file"
  done
}

# --- Making a release --------------------------------------------------------------------------

is_fitting() { # a Python we support, able to make an environment with pip in it
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
    2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${CAMERA_APP_PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if is_fitting "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

choose_python() {
  PYTHON=$(find_python) && return
  say "installing python3-venv"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null || true
  PYTHON=$(find_python) || fail "needs Python 3.11 or newer with venv: apt-get install python3-venv"
}

venv_options() { # picamera2 exists only as a Debian package, beside the Python it was built for
  ! "$PYTHON" -c 'import picamera2' 2>/dev/null || echo --system-site-packages
}

release_id() { # the version, and a hash of everything that decides what stands in the release
  local version hash
  version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$SOURCE/camera_app/__init__.py")
  hash=$({
    cd "$SOURCE"
    # shellcheck disable=SC2086
    find $CONTENT -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
    "$PYTHON" -VV
    venv_options
  } | sha256sum | cut -c1-8)
  echo "$version-$hash"
}

want_space() {
  local free
  free=$(df --output=avail -BM "$BASE" | tail -n 1 | tr -dc '0-9')
  [ "$free" -ge "$NEEDS_MB" ] || fail "needs $NEEDS_MB MB at $BASE, $free MB are free"
}

make_release() { # folder
  local folder=$1 build pip
  want_space
  build=$(mktemp -d "$BASE/build.XXXXXX")
  trap "rm -rf '$build'" EXIT
  say "making $(basename "$folder") with $("$PYTHON" -V); this takes minutes"
  "$PYTHON" -m venv "$build/venv"
  pip="$build/venv/bin/python -m pip --quiet --disable-pip-version-check"
  $pip install --require-hashes -r "$SOURCE/requirements/build.txt" # build isolation would pass the locks
  mkdir "$build/source" && (cd "$SOURCE" && cp -r --parents $CONTENT "$build/source")
  $pip wheel --no-deps --no-build-isolation --wheel-dir "$build" "$build/source"
  rm -rf "$folder" && mkdir "$folder"
  # What runs has no pip: it is filled from outside.
  "$PYTHON" -m venv --without-pip $(venv_options) "$folder/venv"
  pip="$build/venv/bin/python -m pip --python $folder/venv/bin/python --quiet --disable-pip-version-check"
  $pip install --require-hashes -r "$SOURCE/requirements/run.txt"
  $pip install --no-deps "$build"/camera_app-*.whl
  cp -r "$SOURCE/systemd" "$folder/systemd"
  install -Dm 644 "$SOURCE/docs/guide/install.md" "$folder/docs/install.md"
  "$folder/venv/bin/camera-app" --version >/dev/null
  rm -rf "$build"
  sync -f "$folder"
  touch "$folder/complete"
}

# --- Putting a release in place ----------------------------------------------------------------

point() { # link, target: whoever follows the link finds the one or the other
  ln -sfn "$2" "$1.new"
  mv -T "$1.new" "$1"
}

put_system_files() { # of a release
  local from=$1/systemd
  install -Dm 644 "$from/sysusers.conf" "$LIB/sysusers.d/camera-app.conf"
  install -Dm 644 "$from/tmpfiles.conf" "$LIB/tmpfiles.d/camera-app.conf"
  install -Dm 644 "$from/udev.rules" "$LIB/udev/rules.d/70-camera-app.rules"
  install -Dm 644 -t "$LIB/systemd/system" "$from/camera-app.service" "$from/camera-app@.service"
  mkdir -p /usr/local/bin /usr/local/sbin
  point /usr/local/bin/camera-app "$BASE/current/venv/bin/camera-app"
  point /usr/local/sbin/camera-app-install "$BASE/current/systemd/install.sh"
  systemd-sysusers "$LIB/sysusers.d/camera-app.conf"
  put_configuration "$from/camera.toml" "$CONFIG/camera.toml"
  systemd-tmpfiles --create "$LIB/tmpfiles.d/camera-app.conf"
}

put_configuration() { # sample, file: one that is there is never touched
  [ ! -e "$2" ] || return 0
  install -d -m 750 -o root -g "$USER_NAME" "$CONFIG"
  install -m 640 -o root -g "$USER_NAME" "$1" "$2"
  say "wrote $2, a sample"
}

tell_system() {
  if has_systemd; then
    systemctl daemon-reload
    if command -v udevadm >/dev/null; then
      udevadm control --reload 2>/dev/null && udevadm trigger --subsystem-match=usb --subsystem-match=apex || true
    fi
  fi
  systemctl --quiet enable camera-app.service
}

use_release() { # folder
  point "$BASE/current" "$1"
  put_system_files "$1"
  tell_system
}

want_accepted_configuration() { # of a release; nothing has been changed yet when this fails
  local file
  getent passwd "$USER_NAME" >/dev/null || return 0
  for file in $(configurations); do
    runuser -u "$USER_NAME" -- "$1/venv/bin/camera-app" config check "$file" >/dev/null ||
      fail "nothing was changed: $(basename "$1") does not accept $file"
  done
}

# --- Databases: a newer release may bring them to a schema that an older one does not know ------

inspect_data() { # release, what to do (schema, copy, restore, forget); with each configuration's
  local release=$1 deed=$2 file all_went_well=0
  for file in $(configurations); do
    "$release/venv/bin/python" -I - "$deed" "$file" <<'PYTHON' || all_went_well=1
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from camera_app.config import load_config
from camera_app.store import DATABASE_NAME
from camera_app.store.database import shipped_steps

deed, config = sys.argv[1:]
database = load_config(Path(config)).data.folder / DATABASE_NAME
kept = database.with_name(f"{DATABASE_NAME}.before-upgrade")
if deed == "restore" and kept.exists():
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    kept.replace(database)
elif deed == "forget":
    kept.unlink(missing_ok=True)
elif deed in ("schema", "copy") and database.exists():
    connection = sqlite3.connect(database)
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if deed == "schema" and schema > len(shipped_steps()):
        sys.exit(f"{database} has schema {schema}, and that version knows {len(shipped_steps())}")
    if deed == "copy":
        kept.unlink(missing_ok=True)  # of an upgrade that was cut off: events have come since
    if deed == "copy" and schema < len(shipped_steps()):
        part = kept.with_name(f"{kept.name}.part")  # half a copy must never be put back
        try:
            with closing(sqlite3.connect(part)) as target:
                connection.backup(target)
            owner = database.stat()
            os.chown(part, owner.st_uid, owner.st_gid)
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)
    connection.close()
PYTHON
  done
  return "$all_went_well"
}

# --- Going over to a release, and back -----------------------------------------------------------

runtime_folder() { # unit
  local instance=${1#camera-app}
  instance=${instance%.service}
  echo "/run/camera-app${instance/@/-}"
}

is_ready() { # unit: it sees and delivers
  "$BASE/current/venv/bin/camera-app" health --runtime-folder "$(runtime_folder "$1")" >/dev/null 2>&1
}

restarts_of() { systemctl show --property NRestarts --value "$1"; }

stays_up() { # unit
  local second before
  before=$(restarts_of "$1")
  for second in $(seq "$STEADY_S"); do
    sleep 1
    systemctl is-active --quiet "$1" && [ "$(restarts_of "$1")" = "$before" ] || {
      say "$1 went down again after $second s"
      return 1
    }
  done
}

becomes_ready() { # unit
  local second
  for second in $(seq "$READY_S"); do
    ! is_ready "$1" || return 0
    sleep 1
  done
  say "$1 does not see or deliver after $second s, and did before"
  return 1
}

comes_up() { # unit, and whether it was ready before
  systemctl restart "$1" || return 1
  stays_up "$1" || return 1
  [ "$2" = no ] || becomes_ready "$1"
}

# To be called by itself: within a condition bash would go on after a step that fails.
change_over() { # release: with every running service, or not at all
  local release=$1 before units unit ready=""
  before=$(release_of current)
  units=$(running_units)
  for unit in $units; do
    is_ready "$unit" && ready="$ready $unit"
  done
  [ -z "$before" ] || trap "go_back '$before' '$units' || true" EXIT
  [ -z "$units" ] || systemctl stop $units
  [ -z "$before" ] || inspect_data "$release" copy
  use_release "$release"
  for unit in $units; do
    comes_up "$unit" "$([[ " $ready " == *" $unit "* ]] && echo yes || echo no)" ||
      fail "$(basename "$release") did not come up"
  done
  trap - EXIT
  [ -z "$before" ] || [ "$before" = "$release" ] || point "$BASE/previous" "$before"
  [ -z "$before" ] || inspect_data "$release" forget
}

go_back() { # release, units
  say "going back to $(basename "$1")"
  [ -z "$2" ] || systemctl stop $2 || true
  inspect_data "$1" restore
  use_release "$1"
  [ -n "$2" ] || return 0
  systemctl reset-failed $2 2>/dev/null || true
  systemctl start $2
  say "$(basename "$1") runs again"
}

forget_other_releases() {
  local folder
  for folder in "$RELEASES"/*; do
    [ "$folder" = "$(release_of current)" ] || [ "$folder" = "$(release_of previous)" ] ||
      rm -rf "$folder"
  done
}

# --- The commands --------------------------------------------------------------------------------

install_command() {
  local release
  for program in systemctl systemd-sysusers systemd-tmpfiles; do
    command -v "$program" >/dev/null || fail "needs systemd: $program is not installed"
  done
  [ -f "$SOURCE/pyproject.toml" ] || fail "to be called from a checkout; this is an installed release"
  mkdir -p "$RELEASES"
  choose_python
  release=$RELEASES/$(release_id)
  [ -e "$release/complete" ] || make_release "$release"
  want_accepted_configuration "$release"
  if [ "$(release_of current)" = "$release" ]; then
    use_release "$release"
    say "$(basename "$release") is installed already"
    return
  fi
  change_over "$release"
  forget_other_releases
  say "$(basename "$release") is installed"
  [ -n "$(running_units)" ] || say "next: edit $CONFIG/camera.toml, then: systemctl start camera-app"
}

rollback_command() {
  local release
  release=$(release_of previous)
  [ -n "$release" ] || fail "there is no version before this one"
  inspect_data "$release" schema || fail "nothing was changed: the events would be out of its reach"
  want_accepted_configuration "$release"
  change_over "$release"
  say "$(basename "$release") is back"
}

instance_command() { # name
  [[ ${1:-} =~ ^[a-z0-9][a-z0-9_-]{0,31}$ ]] || fail "a name: small letters, digits, - and _"
  [ -n "$(release_of current)" ] || fail "install first"
  local sample file=$CONFIG/$1.toml
  [ ! -e "$file" ] || fail "$file is there already"
  sample=$(mktemp)
  sed "s|^device_id = .*|device_id = \"$1\"|; s|^#\[data\]|[data]|
    s|^#folder = .*|folder = \"/var/lib/camera-app-$1\"|" "$BASE/current/systemd/camera.toml" >"$sample"
  put_configuration "$sample" "$file"
  rm "$sample"
  systemctl --quiet enable "camera-app@$1.service"
  say "next: edit $file, then: systemctl start camera-app@$1"
}

status_command() {
  local name
  for name in current previous; do
    echo "$name: $(basename "$(release_of $name)")"
  done
  ! has_systemd || systemctl --no-pager --lines=0 status 'camera-app.service' 'camera-app@*.service' || true
}

uninstall_command() {
  local purge=${1:-}
  [ -z "$purge" ] || [ "$purge" = --purge ] || fail "uninstall takes --purge and nothing else"
  ! has_systemd || systemctl --quiet stop 'camera-app.service' 'camera-app@*.service' || true
  [ ! -e "$LIB/systemd/system/camera-app.service" ] || disable_all
  rm -f "$LIB/systemd/system/camera-app.service" "$LIB/systemd/system/camera-app@.service" \
    "$LIB/sysusers.d/camera-app.conf" "$LIB/tmpfiles.d/camera-app.conf" \
    "$LIB/udev/rules.d/70-camera-app.rules" /usr/local/bin/camera-app /usr/local/sbin/camera-app-install
  rm -rf "$BASE"
  ! has_systemd || systemctl daemon-reload
  if [ -n "$purge" ]; then
    rm -rf "$CONFIG" /var/lib/camera-app /var/lib/camera-app-* /var/cache/camera-app /var/cache/camera-app-*
    ! getent passwd "$USER_NAME" >/dev/null || userdel "$USER_NAME"
    ! getent group "$USER_NAME" >/dev/null || groupdel "$USER_NAME"
    say "everything is removed"
  else
    say "the program is removed; $CONFIG and /var/lib/camera-app* stay"
  fi
}

disable_all() {
  local file
  systemctl --quiet disable camera-app.service
  for file in $(configurations); do
    systemctl --quiet disable "camera-app@$(basename "$file" .toml).service"
  done
}

main() {
  local command=${1:-}
  case $command in
  install | rollback | instance | uninstall)
    [ "$(id -u)" = 0 ] || fail "to be called as root: sudo $0 $*"
    shift
    "${command}_command" "$@"
    ;;
  status) status_command ;;
  *)
    sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'
    [ "$command" = --help ] || exit 2
    ;;
  esac
}

# All of it is read before any of it runs: an upgrade replaces this file.
main "$@"
exit
