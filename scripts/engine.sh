#!/bin/sh
# Run a command beside a Docker Engine: one that already answers, or one of its own that ends with the command.
#
#   sh scripts/engine.sh make test
#
# An engine of its own needs root and `dockerd`. It has no network and no firewall rules: the docker jail uses none.
set -eu

if docker info >/dev/null 2>&1; then
    exec "$@"
fi

folder=$(mktemp -d)
DOCKER_HOST=unix://$folder/docker.sock
export DOCKER_HOST
dockerd --data-root "$folder/data" --exec-root "$folder/exec" -H "$DOCKER_HOST" --pidfile "$folder/pid" \
    --bridge none --iptables=false --ip6tables=false >"$folder/log" 2>&1 &
engine=$!

stop() {
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

waited=0
until docker info >/dev/null 2>&1; do
    if ! kill -0 "$engine" 2>/dev/null || [ "$waited" -ge 60 ]; then
        echo 'the Docker Engine did not start; the end of its log:' >&2
        tail -n 20 "$folder/log" >&2
        exit 1
    fi
    sleep 1
    waited=$((waited + 1))
done
"$@"
