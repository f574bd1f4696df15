#!/usr/bin/env bash
# Installs programs of others that the tests talk to: the clients that check a server of ours (`install.sh tds`), the
# language server of editors (`editor`), the tools of CI (`ci`), the messages of OpenTelemetry (`otel`), the schema of
# Grafana (`grafana`). Those of NAME are pinned in requirements-NAME.txt (Python) and NAME/package-lock.json (Node),
# whichever there are, and go to target/clients/NAME.
# Quick when they are there already. What cannot be installed is said, and the script fails.
set -euo pipefail
cd "$(dirname "$0")"
name=${1:?which clients: the name of a folder beside this script}
target=${2:-../../target/clients/$name}
mkdir -p "$target"
target=$(cd "$target" && pwd)

say() { echo "$*" >&2; exit 1; }

# Tests that run side by side need the same ones: the first installs them, the others wait for it.
exec 9> "$target/lock"
flock 9

needs() { command -v "$1" > /dev/null || say "$1 is not installed"; }

# What a folder was filled from lies beside it, so that a change of the pinned versions is noticed.
requirements=requirements-$name.txt
if [ -e "$requirements" ] && ! cmp -s "$requirements" "$target/python.from"; then
    needs python3
    rm -rf "$target/python"
    python3 -m pip install --quiet --disable-pip-version-check --target "$target/python" -r "$requirements" \
        || say "pip cannot install $(tr '\n' ' ' < "$requirements")"
    cp "$requirements" "$target/python.from"
fi

lock=$name/package-lock.json
[ -e "$lock" ] || exit 0
needs node
needs npm
if ! cmp -s "$lock" "$target/node.from"; then
    rm -rf "$target/node"
    mkdir -p "$target/node"
    cp "$name/package.json" "$lock" "$target/node"
    npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$target/node" \
        || say "npm cannot install what $lock lists"
    cp "$lock" "$target/node.from"
fi
