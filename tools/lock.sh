#!/usr/bin/env bash
# Writes requirements/*.txt: every package that setup installs, one version for all Pythons and
# processors we support, with the hashes of its files.
#
#   tools/lock.sh             follows pyproject.toml and keeps every version that still fits
#   tools/lock.sh --upgrade   takes the newest versions
#
# Needs uv, which nothing else here does.
set -euo pipefail
cd "$(dirname "$0")/.."

UV=${UV:-uv}
if ! command -v "$UV" >/dev/null; then
  echo "uv is needed to write the locks: pipx install uv" >&2
  exit 1
fi

compile() { # name of the lock, then what goes into it
  local name=$1
  shift
  # fewest: the same version on every Python, so that a replay means the same on all of them.
  "$UV" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --generate-hashes --no-header --no-emit-index-url \
    --output-file "requirements/$name.txt" "$@" >/dev/null
  echo "requirements/$name.txt"
}

# The widest set is resolved first; the others repeat its choices.
compile dev pyproject.toml --extra demo --extra dev --group build "$@"
compile demo pyproject.toml --extra demo --constraint requirements/dev.txt
compile run pyproject.toml --constraint requirements/dev.txt
compile build --group build --constraint requirements/dev.txt
