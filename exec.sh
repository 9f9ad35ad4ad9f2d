#!/usr/bin/env bash
# The stages as flags, without knowledge of snakemake: `./exec.sh --help`. scripts/dag/cli.py checks them, sets up the
# environment, prints the snakemake call that they stand for, and becomes it.
set -euo pipefail

cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"
python=${PYTHON:-python3}
command -v "$python" >/dev/null || {
  echo "exec.sh: $python: command not found; install Python 3.11 or later, or name another: PYTHON=python3.12 ./exec.sh …" >&2
  exit 2
}
exec "$python" scripts/dag/cli.py "$@"
