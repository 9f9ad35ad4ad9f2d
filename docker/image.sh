#!/usr/bin/env bash
# Builds the image with Docker and turns its packages into the SIF that the config names: docker/image.sh [docker build flags].
# From the environment: SIF (another name), BASE, TORCH_INDEX, BUILD_NETWORK, BUILD_CA, BUILD_PIP_CONF, as in docker-compose.yml.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
sif=${SIF:-$("$python" scripts/dag/image.py)}

fail() { echo "image.sh: $*" >&2; exit 1; }
docker info >/dev/null 2>&1 || fail "no Docker engine answers; install or start one, and be in the group that may use it"
engine=$(command -v apptainer || command -v singularity) || fail "neither apptainer nor singularity is installed; it makes the SIF"

tag=forecast-packages:$(basename "$sif" .sif)
DOCKER_BUILDKIT=1 docker build --target packages --tag "$tag" --network "${BUILD_NETWORK:-default}" \
  --build-arg "BASE=${BASE:-debian:bookworm-slim}" --build-arg "TORCH_INDEX=${TORCH_INDEX:-}" \
  --secret "id=ca,src=${BUILD_CA:-/dev/null}" --secret "id=pip,src=${BUILD_PIP_CONF:-/dev/null}" "$@" .
partial=$(dirname "$sif")/.partial-$$.sif
trap 'rm -f "$partial"' EXIT
# every job unpacks what it imports: lz4 gives a job's second back for a tenth more of size
"$engine" build --mksquashfs-args "-comp lz4 -Xhc" "$partial" "docker-daemon:$tag"
"$python" scripts/dag/image.py "$partial" || fail "what was built cannot run the workflow"
mv "$partial" "$sif"
echo "image: $sif"
