#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# Both engines of a session make the same package of an installer that renames directories of the host, links and
# changes its files, deletes and makes again; what only the fuse engine can do is in its package, too.
. "$(dirname "$0")/setup.sh"

: >"$scratch/rules"
host=$scratch/host
mkdir -p "$host/dir/sub/deep" "$host/dir/again" "$host/covered/sub" "$host/dir/empty" "$host/made"
for f in a b c deleted sub/x sub/deep/y sub/gone again/hidden; do echo "$f" >"$host/dir/$f"; done
for f in covered/old covered/sub/old covered/b made/over single; do echo "$f" >"$host/$f"; done
ln "$host/dir/a" "$host/dir/sub/a2"
ln -s ../b "$host/dir/sub/link"
chmod 640 "$host/dir/b"
chmod 750 "$host/dir/sub/deep"
touch -d 2003-04-05 "$host/dir/b" "$host/dir/sub/x" "$host/single"
find "$host" -type d -exec touch -d 2004-05-06 {} +
head -c 300000 /dev/urandom >"$host/dir/large"

cat >"$scratch/install.sh" <<SH
set -e
cd "$host"
mv dir /opt/moved                        # a directory of the host
echo more >>/opt/moved/c                 # changes in it afterwards,
rm /opt/moved/deleted /opt/moved/sub/gone
echo new >/opt/moved/sub/new
mv /opt/moved/sub/deep /opt/moved/deep2  # and a rename in what was renamed
rm -r /opt/moved/again && mkdir /opt/moved/again && echo mine >/opt/moved/again/mine
mkdir dir && echo again >dir/only        # something else in its old place
rm -r covered && mv /opt/moved/empty covered && mkdir covered/sub && echo x >covered/sub/new
rm -r made && mkdir -p made/sub && echo x >made/sub/over
ln single linked                         # a second name of a file of the host
chmod 4751 linked
chown 12:34 single
echo x >/opt/closed && chmod 000 /opt/closed
mknod /opt/fifo p
mkdir /opt/.floe && echo x >/opt/.floe/x
sh -c 'command -v setfattr >/dev/null && setfattr -n user.kept -v 1 linked' || true
SH
# Older than all but what is marked above: directories on the way are other people's, and change.
SOURCE_DATE_EPOCH=$(date -d 2005-01-01 +%s)
export SOURCE_DATE_EPOCH
manifest "$host" >"$scratch/before"
sequence() { # ENGINE OUT [OPTION]... -- INSTALLER
	local engine=$1 to=$2

	shift 2
	expect 0 "engine $engine: asked for" -- "$floe" sequence -v --engine "$engine" -o "$to" --name moved --version 1 \
		--rules "$scratch/rules" --keep "$to.kept" "$@"
	same_as_before "$scratch/before" "$host"
}
list() { # PACKAGE
	"$floe" ls -lR "$1" | LC_ALL=C sort
}

engines=(fuse)
if "$floe" sequence -q --engine overlay -o "$scratch/probe.floe" -- touch /opt/x >"$scratch/probe" 2>&1; then
	engines+=(overlay)
else
	note "overlayfs does not work here: $(head -n 1 "$scratch/probe")"
fi
for engine in "${engines[@]}"; do
	note "engine $engine"
	sequence "$engine" "$scratch/$engine.floe" -- sh "$scratch/install.sh"
	list "$scratch/$engine.floe" >"$scratch/$engine.list"
	chmod -R u+rwX "$scratch/$engine.floe.kept"
done
getfattr --version >/dev/null 2>&1 && ! getfattr -d "$scratch/fuse.floe.kept/upper/opt/moved" 2>/dev/null | grep -q floe.redirect &&
	fail "the fuse engine renamed nothing: this test tests nothing"
if [ "${#engines[@]}" = 2 ]; then
	diff "$scratch/overlay.list" "$scratch/fuse.list" || fail "the engines' packages differ"
	cmp "$scratch/overlay.floe" "$scratch/fuse.floe" || fail "the same names, and something else differs"
fi

note "what is in it"
expect 0 -- "$floe" extract "$scratch/fuse.floe" -C "$scratch/out.d"
tree=$scratch/out.d
[ "$(cat "$tree/opt/moved/b")" = b ] || fail "what was renamed is missing"
[ "$(stat -c '%a %Y' "$tree/opt/moved/b")" = "640 $(date -d 2003-04-05 +%s)" ] || fail "the mode or time of what was renamed"
[ "$(cat "$tree/opt/moved/c")" = "$(printf 'c\nmore')" ] || fail "what was changed afterwards"
[ "$(cat "$tree/opt/moved/deep2/y")" = sub/deep/y ] || fail "a rename in what was renamed"
[ "$(ls "$tree/opt/moved/again")" = mine ] || fail "what was made again shows what it had"
[ ! -e "$tree/opt/moved/deleted" ] && [ ! -e "$tree/opt/moved/sub/gone" ] || fail "what was deleted"
[ "$tree/opt/moved/a" -ef "$tree/opt/moved/sub/a2" ] || fail "names of one file came apart"
[ "$tree$host/single" -ef "$tree$host/linked" ] || fail "a new name of a file of the host's"
cmp -s "$host/dir/large" "$tree/opt/moved/large" || fail "content"
[ -p "$tree/opt/fifo" ] && [ "$(cat "$tree/opt/.floe/x")" = x ] || fail "the rest"
! grep -E ' /?\.floe(/|$)|links' "$scratch/fuse.list" || fail "floe's own is in the package"

note "running it"
expect 0 -- "$floe" sequence -q --engine fuse -o "$scratch/run.floe" --rules "$scratch/rules" --command box=/usr/bin/hv-box -- \
	sh -c "sh $scratch/install.sh && printf '#!/bin/sh\nexec \"\$@\"\n' >/usr/bin/hv-box && chmod 755 /usr/bin/hv-box"
expect 0 -- "$floe" run --ephemeral "$scratch/run.floe" -- sh -c "ls -A $host/dir $host/covered $host/covered/sub $host/made $host/made/sub"
[ "$(tr -s '\n' ' ' <"$out")" = "$host/covered: sub $host/covered/sub: new $host/dir: only $host/made: sub $host/made/sub: over " ] ||
	{ cat "$out"; fail "what was replaced shows through"; }

note "names of a changed file that the installer did not use"
sequence fuse "$scratch/names.floe" -- sh -c "echo changed >>$host/dir/a"
expect 0 -- "$floe" extract "$scratch/names.floe" -C "$scratch/names.d"
[ "$(tail -n 1 "$scratch/names.d$host/dir/sub/a2")" = changed ] || fail "the other name has not changed"
[ "$scratch/names.d$host/dir/sub/a2" -ef "$scratch/names.d$host/dir/a" ] || fail "names of one file came apart"

note "a launch that never ends, in a union of the fuse engine's"
expect 0 -- "$floe" sequence --engine fuse -o "$scratch/launch.floe" --command box=/usr/bin/hv-box --launch 'box sleep 1001' \
	--launch-seconds 20 -- sh -c "printf '#!/bin/sh\nexec \"\$@\"\n' >/usr/bin/hv-box && chmod 755 /usr/bin/hv-box"
grep -q 'Launch: box sleep 1001: started, then ended by us' "$out" || { cat "$out"; fail "sleep"; }
! pgrep -u "$(id -u)" -f '^sleep 1001$' >/dev/null || fail "the launch is still running"

note "an engine that there is not"
expect 125 'is no engine' -- "$floe" sequence --engine none -o "$scratch/x.floe" -- true
