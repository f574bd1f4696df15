#!/bin/sh
# Unpacks the genuine MySQL of Debian unstable into a folder, for the tests: set ENGINE_TEST_MYSQL_ROOT to it.
# Nothing is installed; apt works on a state of its own. About 66 MB to fetch and 540 MB unpacked.
#
# usage: fetch-mysql.sh FOLDER
set -eu
root=$1
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$root" "$state/state/lists/partial" "$state/cache/archives/partial"
: > "$state/status"
mirror=$(grep -hoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null \
    | grep -v snapshot | head -n 1 | tr -d ' ')
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$state/list"
apt() {
    apt-get -q -o Dir::Etc::sourcelist="$state/list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$state/state" \
        -o Dir::State::lists="$state/state/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o APT::Sandbox::User=root "$@"
}
apt update
apt install -y --no-install-recommends --download-only mysql-server-core mysql-client-core
for package in "$state"/cache/archives/*.deb; do
    dpkg -x "$package" "$root"
done
