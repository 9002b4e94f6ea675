#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=60
# floe env on environments laid out by hand: what list, show, diff, reset and remove say and leave, without a
# holder, as whoever runs this.
set -u
tools=$FLOE_BUILD/libexec/floe/floe-tools
[ -x "$tools" ] || { echo "no floe-tools in this build"; exit 77; }

scratch=$(mktemp -d) || exit 1
trap 'chmod -R u+rwx "$scratch"; rm -rf "$scratch"' EXIT
export XDG_DATA_HOME=$scratch/data XDG_CONFIG_HOME=$scratch/config XDG_CACHE_HOME=$scratch/cache
export XDG_RUNTIME_DIR=$scratch/run HOME=$scratch/home
mkdir -m 700 "$XDG_RUNTIME_DIR" "$HOME"
envs=$XDG_DATA_HOME/floe/envs
failed=0

fail() {
	echo "FAILED: $*" >&2
	failed=1
}

# expect STATUS WHAT COMMAND...: output (both streams) is left in $said
expect() {
	local status=$1 what=$2
	shift 2
	said=$("$@" 2>&1 </dev/null)
	local got=$?
	[ $got -eq "$status" ] || fail "$what: status $got instead of $status: $said"
}

same() {
	[ "$1" = "$2" ] || fail "$3:"$'\n'"$1"$'\n'"instead of"$'\n'"$2"
}

make() {
	mkdir -p "$envs/$1/upper/etc" "$envs/$1/work"
	printf 'format=1\npackage=%s\nversion=1.0\nsource=\ncreated=1700000000\n' "$1" >"$envs/$1/environment"
	: >"$envs/$1/lock"
}

expect 0 "an empty list" "$tools" env list
same "$said" "floe: there are no environments yet; floe run makes them" "an empty list"
expect 125 "a diff of nothing" "$tools" env diff nothing
expect 125 "a name that is none" "$tools" env show ../etc
expect 125 "no verb of env" "$tools" env lsit

make one
make two
upper=$envs/one/upper
cp -p /etc/passwd "$upper/etc/passwd" && echo more >>"$upper/etc/passwd"
cp -p /etc/group "$upper/etc/group" && chmod 600 "$upper/etc/group"
cp -p /etc/host.conf "$upper/etc/host.conf"
mknod "$upper/etc/profile" c 0 0
mknod "$upper/etc/never-was-here" c 0 0
mkdir "$upper/etc/floe test" && : >"$upper/etc/floe test/$(printf 'a\nb\377')"
mkdir -p "$upper/$HOME" && echo mine >"$upper/$HOME/.profile"

expect 0 "a list" "$tools" env list
same "$(echo "$said" | awk '{ print $1, $2, $3 }')" $'NAME PACKAGE VERSION\none one 1.0\ntwo two 1.0' "a list"
expect 0 "a diff" "$tools" env diff one
same "$(echo "$said" | grep -a " /etc/")" \
	$'A /etc/floe test/\nA /etc/floe test/a\\nb\377\nm /etc/group\nM /etc/passwd\nD /etc/profile' "a diff"
echo "$said" | grep -aqxF "A $HOME/.profile" || fail "a file below the home directory is not in: $said"
expect 0 "a diff of nothing written" "$tools" env diff two
same "$said" "" "a diff of nothing written"
expect 0 "a diff as JSON" "$tools" env diff one two --json
echo "$said" | grep -q '"path": "/etc/profile"' || fail "no JSON: $said"
expect 0 "all of one" "$tools" env show one
echo "$said" | grep -q "^files: *$upper\$" || fail "no upper in: $said"

# What the application has closed to its owner is read all the same, and stays closed.
mkdir -m 0 "$upper/etc/closed"
if unshare -U true 2>/dev/null || [ "$(id -u)" -eq 0 ]; then
	expect 0 "a diff with a closed directory" "$tools" env diff one
fi
same "$(stat -c %a "$upper/etc/closed")" 0 "a closed directory's mode"

# Somebody uses it: neither reset nor removed.
exec 9<"$envs/one/lock"
flock -s 9
expect 125 "a reset while in use" "$tools" env reset one
same "$said" "floe: environment one is in use; floe stop one" "a reset while in use"
expect 125 "a removal while in use" "$tools" env remove one --yes
[ -e "$upper/etc/passwd" ] || fail "a refused removal removed"
exec 9<&-

: >"$envs/one/registry.db"
expect 0 "a reset of files" "$tools" env reset one --files --yes
[ -z "$(ls -A "$upper")" ] || fail "files are left after a reset"
[ -e "$envs/one/registry.db" ] || fail "a reset of files took the settings"
expect 0 "a reset of settings" "$tools" env reset one --settings
[ ! -e "$envs/one/registry.db" ] || fail "a reset of settings left them"

# What an interruption left behind goes with the next look.
mkdir -p "$envs/.gone-three-1-0/upper"
expect 125 "a removal with one that is not there" "$tools" env remove one three two
expect 0 "a list in the end" "$tools" env list --json
same "$said" "[]" "a list in the end"
same "$(ls -A "$envs")" ".lock" "what is left below envs"

expect 0 "what runs" "$tools" ps
expect 0 "to stop all of nothing" "$tools" stop --all
same "$said" "floe: nothing is running" "to stop all of nothing"
expect 125 "to stop without saying what" "$tools" stop
expect 125 "an unknown verb" "$tools" evn
same "$said" 'floe: "evn" is not a verb of floe; did you mean "env"?' "an unknown verb"
"$tools" --help | head -1 >/dev/null
same "${PIPESTATUS[0]}" 0 "a reader that leaves early"
[ ! -e /dev/full ] || { "$tools" --help >/dev/full 2>&1 && fail "a full disk is not noticed"; }
exit $failed
