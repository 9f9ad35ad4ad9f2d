#!/usr/bin/env bash
# Renews the lock: envs/requirements.txt (what runs), envs/cluster.txt (what submits to clusters), envs/dev.txt (what checks it)
# and envs/docs.txt (what makes the pages a site), from the .in files beside them.
# torch's own hashes in envs/torch.txt are kept by hand: they name its builds for several platforms.
set -euo pipefail
cd "$(dirname "$0")"
compile() {
  python -m piptools compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
    --no-emit-find-links --no-emit-index-url --no-emit-options --no-emit-trusted-host "$@"
}
compile --unsafe-package torch --output-file requirements.txt requirements.in
sed -i '/^$/,$d' requirements.txt # pip-compile's closing remark that torch is elsewhere
compile --allow-unsafe --output-file cluster.txt cluster.in
compile --allow-unsafe --output-file dev.txt dev.in
compile --allow-unsafe --output-file docs.txt docs.in
