#!/bin/sh
# Unpacks the genuine MySQL of Debian unstable into a folder, for the tests: `./test` does so by itself. Nothing is
# installed; apt works on a state of its own. About 60 MB to fetch and 300 MB unpacked. A folder that is complete is
# left as it is.
#
# usage: fetch-mysql.sh FOLDER
set -eu
# Apt takes a relative path for one below its own folders.
mkdir -p "$(dirname "$1")"
root=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
# Unstable moves while it is read: what the list names may be gone a moment later.
attempts_max=3
pause_s=5

[ -e "$root/complete" ] && exit 0
[ "$(uname -m)" = x86_64 ] || { echo "the tests know MySQL's packages for x86_64 only" >&2; exit 1; }
mirror=$(grep -hoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null \
    | grep -v snapshot | head -n 1 | tr -d ' ')
[ -n "$mirror" ] || { echo "no list of apt names a mirror of Debian" >&2; exit 1; }
# Beside its place, so that a folder is there whole or not at all.
work=$(mktemp -d "$root.XXXXXX")
trap 'rm -rf "$work"' EXIT

apt() {
    apt-get -q -o Dir::Etc::sourcelist="$work/list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$work/state" \
        -o Dir::State::lists="$work/state/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}

fetch() {
    apt update && apt install -y --no-install-recommends --download-only mysql-server-core
}

echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$work/list"
: > "$work/status"
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root"
attempt=1
until fetch; do
    [ "$attempt" -lt "$attempts_max" ] || exit 1
    attempt=$((attempt + 1))
    sleep "$pause_s"
done
for package in "$work"/cache/archives/*.deb; do
    dpkg -x "$package" "$work/root"
done
# It brings its own C library, and with it its own loader.
libraries=$work/root/usr/lib/x86_64-linux-gnu
"$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$work/root/usr/sbin/mysqld" --no-defaults --version
touch "$work/root/complete"
rm -rf "$root"
mv "$work/root" "$root"
