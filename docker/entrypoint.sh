#!/bin/sh
# Every container session starts in /workspace and runs the command it is given. A service of docker-compose.yml sets STAGE: then
# flags go to ./exec.sh with that stage, and a command in their place is run instead. `--env NAME=VALUE` before either is set.
# Started as root, it becomes the owner of /workspace, so that what it writes belongs to them.
set -eu
cd /workspace

complain() {
  echo "entrypoint.sh: $*" >&2
  exit 2
}

while [ "${1:-}" = --env ] || [ "${1:-}" = -e ]; do
  [ $# -ge 2 ] || complain "$1 needs NAME=VALUE"
  case ${2%%=*} in "" | [0-9]* | *[!A-Za-z0-9_]* | "$2") complain "$1 $2: must be NAME=VALUE" ;; esac
  export "${2?}"
  shift 2
done

case ${1:--}${STAGE:+ of a stage} in
  -*" of a stage") set -- ./exec.sh ${STAGE} "$@" ;;
esac
[ $# -gt 0 ] || set -- bash
command -v "$1" >/dev/null || complain "$1: is neither a flag of ./exec.sh nor a command; ./exec.sh --help lists the flags"

outputs="data artifacts lightning_logs .snakemake"
owner=$(stat -c %u:%g .)
if [ "$(id -u)" = 0 ] && [ "${owner%:*}" != 0 ]; then
  as_owner() { setpriv --reuid "${owner%:*}" --regid "${owner#*:}" --clear-groups "$@"; }
  # the engine makes, as root, what is missing of a mount and of the place it is mounted on
  give() {
    if [ -d "$1" ] && [ "$(stat -c %u "$1")" = 0 ]; then chown "$owner" "$1" 2>/dev/null || true; fi
  }
  for folder in $outputs; do
    [ -n "$(ls -A "$folder" 2>/dev/null)" ] || give "$folder"
    give "/mnt/project/$folder"
  done
  case ${OUTPUT:-.} in
    /* | *..*) ;;
    *)
      folder=${OUTPUT:-.}
      while [ "$folder" != . ]; do
        give "/mnt/project/$folder"
        folder=$(dirname "$folder")
      done
      ;;
  esac
  for folder in $outputs; do
    if [ -e "$folder" ] && ! as_owner test -w "$folder"; then
      complain "$folder cannot be written by ${owner%:*}, who owns the project (its owner is $(stat -c %u "$folder")); make it writable, or set OUTPUT to another folder"
    fi
  done
  set -- setpriv --reuid "${owner%:*}" --regid "${owner#*:}" --clear-groups "$@"
  export HOME=/tmp
  # a name for the shell's prompt
  getent passwd "${owner%:*}" >/dev/null || echo "user:x:$owner::/tmp:/bin/bash" >>/etc/passwd
fi
[ -w "${HOME:-/}" ] || export HOME=/tmp
# Snakemake asks for the user's name, which `docker run --user` may leave without one
export LOGNAME="${LOGNAME:-forecast}"
exec "$@"
