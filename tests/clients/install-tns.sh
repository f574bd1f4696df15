#!/usr/bin/env bash
# Installs the clients that check the TNS server: Oracle's own thin drivers for Python and Node.
# Quick when they are there already. What cannot be installed is said, and the script fails.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:-../../target/clients/tns}
mkdir -p "$target"
target=$(cd "$target" && pwd)

# What a folder was filled from lies beside it, so that a change of the pinned versions is noticed.
filled_from() { cmp -s "$1" "$2"; }

for program in python3 node npm; do
    command -v "$program" > /dev/null || { echo "$program is not installed" >&2; exit 1; }
done

if ! filled_from requirements-tns.txt "$target/python.from"; then
    rm -rf "$target/python"
    python3 -m pip install --quiet --disable-pip-version-check --target "$target/python" -r requirements-tns.txt \
        || { echo "PyPI does not give $(cat requirements-tns.txt)" >&2; exit 1; }
    cp requirements-tns.txt "$target/python.from"
fi

if ! filled_from tns/package-lock.json "$target/node.from"; then
    rm -rf "$target/node"
    mkdir -p "$target/node"
    cp tns/package.json tns/package-lock.json "$target/node"
    npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$target/node" \
        || { echo "npm does not give what tns/package-lock.json lists" >&2; exit 1; }
    cp tns/package-lock.json "$target/node.from"
fi
