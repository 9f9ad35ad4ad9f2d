#!/bin/sh
# Installs the lock with the given Python's pip: envs/install.sh PYTHON
# torch is taken by plain pip first, so that a CPU build from a local folder or index is preferred where there is one,
# and then checked against the hashes of envs/torch.txt. CUDA builds pin the libraries that the last line brings.
set -eu
python=$1
here=$(dirname "$0")
pip() { "$python" -m pip --disable-pip-version-check "$@"; }
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
echo "installing the locked packages (the first time takes some minutes)"
pip download --quiet --no-deps --dest "$wheels" torch==2.13.0
pip install --quiet --require-hashes --no-deps --no-index --find-links "$wheels" -r "$here/torch.txt"
pip install --quiet --require-hashes --no-deps -r "$here/requirements.txt"
pip install --quiet torch==2.13.0
