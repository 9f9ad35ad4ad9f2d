#!/usr/bin/env bash
# The pipeline, one container for each stage: docker/pipeline.sh [flags of ./exec.sh]. It ends at the first stage that fails.
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
usage: docker/pipeline.sh [SETTING VALUE ...]

Runs the services of docker-compose.yml one after the other: ${stages[*]}.
Each is given these flags: those of ./exec.sh except its stages; \`./exec.sh --help\` lists them. It continues with the
settings of the last run, and what is up to date is not made again. Figures are drawn on the host: ./exec.sh --plots

  docker/pipeline.sh --symbols "BTCUSDT ETHUSDT" --interval 1m
HELP
  exit 0
fi

for word in "$@"; do
  case $word in
    --full | --fetch | --features | --train | --predict | --eval | --plots | --consensus* | --clean | --check)
      fail 2 "$word: all five stages run here; give settings only, or run one stage: docker compose run --rm …" ;;
  esac
done

# a wrong flag starts no container; on a host without Python, the first container refuses it
if command -v "$python" >/dev/null; then
  "$python" scripts/dag/cli.py --check --fresh --fetch "$@" >/dev/null
fi
docker info >/dev/null 2>&1 || fail 2 "no Docker engine answers; install or start one, and be in the group that may use it"
docker compose version >/dev/null 2>&1 || fail 2 "docker has no compose; install its plugin (docker-compose-plugin)"

for at in "${!stages[@]}"; do
  stage=${stages[at]}
  echo "pipeline.sh: step $((at + 1)) of ${#stages[@]}: $stage" >&2
  docker compose run --rm "$stage" "$@" ||
    fail "$?" "$stage failed with exit code $?; correct the error above and run this again: what is up to date is not made again"
done
echo "pipeline.sh: done; draw the figures with ./exec.sh --plots" >&2
