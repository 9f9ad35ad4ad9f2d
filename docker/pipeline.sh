#!/usr/bin/env bash
# The pipeline, a container a stage: docker/pipeline.sh [flags of ./exec.sh]. It ends at the first stage that fails.
set -euo pipefail

cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
stages=(stage_fetch stage_process stage_predict stage_evaluate stage_consensus)
python=${PYTHON:-python3}

fail() {
  echo "pipeline.sh: $2" >&2
  exit "$1"
}

if [[ " $* " == *" --help "* || ${1:-} == -h ]]; then
  cat <<HELP
Usage: docker/pipeline.sh [KNOB VALUE …]

Runs the services of docker-compose.yml one after the other: ${stages[*]}.
Each takes the flags as they are given here, those of ./exec.sh but for the stages; \`./exec.sh --help\` lists them.
What is already made with the same settings is not made again. Plots are drawn on the host: ./exec.sh --plots

  docker/pipeline.sh --symbols "BTCUSDT ETHUSDT" --interval 1m
HELP
  exit 0
fi

for word in "$@"; do
  case $word in
    --full | --fetch | --features | --train | --predict | --eval | --plots | --consensus* | --clean | --check)
      fail 2 "$word: the stages are all five, in their order; give knobs alone, or call the one: docker compose run --rm …" ;;
  esac
done

# a wrong flag starts no container; on a host without Python, the first container says so
if command -v "$python" >/dev/null; then
  "$python" scripts/dag/cli.py --check --fetch "$@" >/dev/null
fi
docker info >/dev/null 2>&1 || fail 2 "no Docker engine answers; install or start one, and be in the group that may use it"
docker compose version >/dev/null 2>&1 || fail 2 "docker has no compose; install its plugin (docker-compose-plugin)"

for at in "${!stages[@]}"; do
  stage=${stages[at]}
  echo "pipeline.sh: step $((at + 1)) of ${#stages[@]}: $stage" >&2
  docker compose run --rm "$stage" "$@" ||
    fail "$?" "$stage failed with exit code $?; mend what it says and call this again: what is made is not made again"
done
echo "pipeline.sh: done; draw the pictures with ./exec.sh --plots" >&2
