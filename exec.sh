#!/usr/bin/env bash
# Flags for those who know the stages and not snakemake: `./exec.sh --help`. scripts/dag/cli.py checks them, sees to the
# environment, prints the one snakemake call that they mean, and becomes it.
set -euo pipefail

cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"
python=${PYTHON:-python3}
command -v "$python" >/dev/null || {
  echo "exec.sh: there is no $python; install Python 3.11 or later, or name yours: PYTHON=python3.12 ./exec.sh …" >&2
  exit 2
}
exec "$python" scripts/dag/cli.py "$@"
