#!/bin/sh
# Every container session starts in /workspace and runs the command it is given.
set -e
cd /workspace
exec "$@"
