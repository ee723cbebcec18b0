#!/usr/bin/env bash
# Writes requirements/*.txt: every package that setup installs, one version for all Pythons and
# processors we support, with the hashes of its files; those of the workshop without hashes, and
# why is said there.
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

resolve() { # name of the list, then what goes into it
  local name=$1
  shift
  # fewest: the same version on every Python, so that a replay means the same on all of them.
  "$UV" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --no-header --no-emit-index-url --output-file "requirements/$name.txt" "$@" >/dev/null
  echo "requirements/$name.txt"
}

compile() { # name of the lock, then what goes into it
  resolve "$@" --generate-hashes
}

explain() { # puts the text of its input above a list
  local list=requirements/$1.txt
  { sed 's/^/# /' && cat "$list"; } >"$list.new"
  mv "$list.new" "$list"
}

# The widest set is resolved first; the others repeat its choices.
compile dev pyproject.toml --extra demo --extra dev --group build "$@"
compile demo pyproject.toml --extra demo --constraint requirements/dev.txt
compile run pyproject.toml --constraint requirements/dev.txt
compile build --group build --constraint requirements/dev.txt

# On its own: its converter holds typing-extensions, and so pydantic, to older versions.
resolve workshop pyproject.toml --extra workshop "$@"
explain workshop <<'TEXT'
Constraints: the version of everything that the workshop may install, with no hashes. PyTorch is
one version in several builds, for processors alone and for each sort of graphics card, offered in
different places and each with a hash of its own; which of them fits is the desk's to say, by the
index that pip is told to use. What this list names for graphics cards is installed only with a
build that asks for it. Nothing of this ever comes onto a camera.
TEXT
