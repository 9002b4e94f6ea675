#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# The two engines that make unions: the same things done under either, how one is chosen, what each can that the
# other cannot, and that nobody inside notices when the fuse engine's server is killed.
. "$(dirname "$0")/setup.sh"

make_box
union_servers() { floe_pids 'floe-union-server --upper'; } # not the host view's
foreign_mounts() { grep -cE 'floe|/opt/box' /proc/self/mountinfo; }
mounts_before=$(foreign_mounts)

with() { # ENGINE ENV COMMAND...
	local engine=$1 env=$2

	shift 2
	"$floe" run --engine "$engine" --env "$env" --command box "$box" -- "$@"
}

shows() { # ENV LINE-REGEX
	"$floe" env show "$1" >"$out" 2>&1
	grep -qE -- "$2" "$out" || { cat "$out"; fail "env show $1: no /$2/"; }
}

let_go() { # ENV: the next launch mounts it anew
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	until_true 10 no_servers || { ps -u "$(id -u)" -o pid,ppid,args; fail "servers are left"; }
}
no_servers() { [ -z "$(floe_pids '')" ]; }

for engine in overlay fuse; do
	note "the same under $engine"
	cat >"$scratch/write.sh" <<-'EOS'
		set -e
		echo changed >>/opt/box/share/note
		echo new >/opt/box/share/new
		rm /opt/box/share/many/7
		mkdir "$HOME/kept" && echo mine >"$HOME/kept/file"
		ln -s kept "$HOME/link"
		chmod 750 "$HOME/kept"
		dd if=/dev/zero of=/opt/box/share/data bs=1 count=1 seek=1000000 conv=notrunc 2>/dev/null
		mkdir /opt/box/share/deep && mv /opt/box/share/new /opt/box/share/deep/newer
	EOS
	cp "$scratch/write.sh" "$home/write.sh"
	expect 0 -- with "$engine" "$engine" sh "$home/write.sh"
	let_go
	expect 0 -- in_box "$engine" sh -c 'cat /opt/box/share/note /opt/box/share/deep/newer "$HOME/link/file"
		ls /opt/box/share/many | wc -l; stat -c %a "$HOME/kept"; cksum </opt/box/share/data; ls -A /.floe >/dev/null
		[ -e /proc/self/stat ] && [ -c /dev/null ] && [ -d /sys/kernel ] && [ -d /run ] && echo places'
	{
		printf 'original\nchanged\nnew\nmine\n199\n750\n'
		cp "$scratch/tree/share/data" "$scratch/data"
		dd if=/dev/zero of="$scratch/data" bs=1 count=1 seek=1000000 conv=notrunc 2>/dev/null
		cksum <"$scratch/data"
		echo places
	} >"$scratch/want"
	cmp -s "$out" "$scratch/want" || { diff "$scratch/want" "$out"; fail "not what was written under $engine"; }
	[ ! -e "$home/kept" ] && [ ! -e "$home/link" ] || fail "written to the host under $engine"
	expect 0 -- "$floe" env diff "$engine"
	for line in 'M /opt/box/share/note' 'A /opt/box/share/deep/newer' 'D /opt/box/share/many/7' "A $home/kept/file"; do
		grep -qxF "$line" "$out" || { cat "$out"; fail "no \"$line\" in the diff under $engine"; }
	done
	shows "$engine" "^engine: +$engine, now $engine: asked for"
	"$floe" env list --json >"$out"
	grep -q "\"engine\": \"$engine\"" "$out" || { cat "$out"; fail "env list --json does not say $engine"; }
done
server=$(union_servers)
[ -n "$server" ] || fail "no server of the fuse engine runs"

note "the server has no more power than it needs"
power=000000000000000a # to open the user's own files whatever their modes
[ "$(id -u)" -ne 0 ] || power=000000008800000b
for set in CapEff CapPrm; do
	grep -qE "^$set:[[:space:]]*$power\$" "/proc/$server/status" || { grep Cap "/proc/$server/status"; fail "$set"; }
done
for set in CapInh CapAmb; do
	grep -qE "^$set:[[:space:]]*0+\$" "/proc/$server/status" || { grep Cap "/proc/$server/status"; fail "$set"; }
done
grep -qE '^NoNewPrivs:[[:space:]]*1$' "/proc/$server/status" || fail "the server could gain privileges"
grep -qE '^Umask:[[:space:]]*0000$' "/proc/$server/status" || fail "the server's umask"

note "renaming a directory of the package"
rename='cd /opt/box/share; before=$(stat -c %i many); mv many more; after=$(stat -c %i more)
	[ -e many ] && echo still; ls more | wc -l; [ "$before" = "$after" ] && echo same || echo other'
expect 0 -- in_box overlay sh -c "$rename"
[ "$(cat "$out")" = "$(printf '199\nother')" ] || { cat "$out"; fail "renaming under overlay"; }
expect 0 -- in_box fuse sh -c "$rename"
[ "$(cat "$out")" = "$(printf '199\nsame')" ] || { cat "$out"; fail "renaming under fuse"; }

note "what only fuse can show is not shown by overlay"
let_go
expect 125 'only the fuse engine can show.*renamed directories' -- with overlay fuse true
expect 125 'only the fuse engine can show' -- "$floe" env set fuse --engine overlay
expect 0 -- "$floe" env set fuse --engine auto
shows fuse '^engine: +auto, next fuse: it holds what overlayfs cannot show'
expect 0 -- in_box fuse sh -c 'ls /opt/box/share/more | wc -l'
[ "$(cat "$out")" = 199 ] || fail "the renamed directory after a restart"
shows fuse '^engine: +auto, now fuse: it holds'
expect 0 -- "$floe" env reset --files --yes fuse
expect 0 -- with overlay fuse ls /opt/box/share/many/7
shows fuse '^engine: +overlay, now overlay: asked for'

note "choosing"
expect 125 'no engine: give auto, overlay or fuse' -- with overlayfs x true
expect 125 'no engine' -- "$floe" env set overlay --engine unionfs
expect 125 'say what' -- "$floe" env set overlay
expect 0 -- with fuse other sh -c 'echo a >/opt/box/share/a'
in_box other sleep 60 &
until_launched other
expect 125 'in use with the engine fuse: floe stop other' -- with overlay other true
expect 125 'in use' -- "$floe" env set other --engine overlay
expect 0 -- with fuse other cat /opt/box/share/a # the same engine: shared
expect 0 -- "$floe" stop other
wait %1 2>/dev/null
expect 0 -- with overlay other cat /opt/box/share/a # written by fuse, read by overlay
for _ in 1 2 3 4 5 6 7 8; do # who has ended uses nothing any more
	expect 0 -- with fuse other true
	expect 0 -- with overlay other true
done
expect 0 -- "$floe" env set other --engine fuse
expect 0 -- in_box other cat /opt/box/share/a
expect 0 -- "$floe" run --dry-run --env auto --command box "$box" -- true
grep -qE '^engine +(overlay|fuse) \(' "$out" || { cat "$out"; fail "no engine in the plan"; }
ls "$home/.cache/floe/engine/"* >/dev/null || fail "the trial is not remembered"
for file in "$home/.cache/floe/engine/"*; do head -c 300 /dev/urandom >"$file"; done
let_go
expect 0 -- in_box auto true
expect 0 -- "$floe" doctor
grep -q 'engine of environments' "$out" || fail "floe doctor does not speak of engines"

if [ "$(id -u)" -eq 0 ] && mkdir "$scratch/l" "$scratch/u" "$scratch/w" "$home/no-overlay" &&
	mount -t overlay -o "lowerdir=$scratch/l,upperdir=$scratch/u,workdir=$scratch/w" none "$home/no-overlay"; then
	note "where overlayfs does not work"
	export XDG_DATA_HOME=$home/no-overlay
	expect 0 -- in_box one sh -c 'echo x >/opt/box/share/x && mv /opt/box/share/many /opt/box/share/more'
	shows one '^engine: +auto, now fuse: overlayfs does not work'
	expect 125 'Invalid argument; --engine fuse does without overlayfs' -- with overlay two true
	expect 0 -- in_box two true # what failed is not what is wanted from now on
	let_go
	unset XDG_DATA_HOME
	umount "$home/no-overlay" || fail "something still uses the data directory"
fi

note "killed servers are replaced"
cat >"$home/loop.sh" <<'EOS'
mkdir -p /opt/box/share/loop && cd /opt/box/share/loop || exit 1
for i in $(seq 400); do
	echo "$i" >"f$i" || exit 2
	echo more >>"f$i" || exit 3
	mv "f$i" "g$i" || exit 4
	[ "$(cat "g$i")" = "$(printf '%s\nmore' "$i")" ] || { echo "wrong: $i"; exit 5; }
	echo x >>/opt/box/share/note || exit 6
	[ $((i % 3)) -ne 0 ] || rm "g$i" || exit 7
done
ls | wc -l; wc -l </opt/box/share/note
EOS
expect 0 -- with fuse killed true
in_box killed sh "$home/loop.sh" >"$scratch/loop" 2>&1 &
loop=$!
kills=0
while kill -0 "$loop" 2>/dev/null && [ "$kills" -lt 20 ]; do
	for pid in $(union_servers); do kill -KILL "$pid" 2>/dev/null && kills=$((kills + 1)); done
	sleep 0.15
done
wait "$loop" || { cat "$scratch/loop"; fail "the loop failed after $kills kills"; }
note "$kills kills"
[ "$kills" -ge 3 ] || fail "too few kills: $kills"
[ "$(cat "$scratch/loop")" = "$(printf '267\n401')" ] || { cat "$scratch/loop"; fail "something was lost"; }

note "a killed holder leaves nothing"
in_box killed sleep 60 &
until_launched killed
for pid in $(holder_pids); do kill -KILL "$pid"; done
wait %1 2>/dev/null
until_true 15 no_servers || { ps -u "$(id -u)" -o pid,ppid,args; fail "servers outlive the holder"; }
[ "$(foreign_mounts)" = "$mounts_before" ] || { cat /proc/self/mountinfo; fail "a mount is left"; }
expect 0 -- in_box killed sh -c 'ls /opt/box/share/loop | wc -l'
[ "$(cat "$out")" = 267 ] || fail "after a killed holder"
let_go

note "the host view's server is replaced, too"
host_views() { floe_pids 'floe-union-server --host'; }
no_socket() { [ -z "$(find "$XDG_RUNTIME_DIR" -name holder.sock)" ]; }
mkdir "$home/some" "$home/mounted"
for i in $(seq 200); do echo "file $i" >"$home/some/$i"; done
cat >"$home/read.sh" <<'EOS'
cd "$HOME/some" || exit 1
for i in $(seq 200); do
	[ "$(cat "$i")" = "file $i" ] || exit 2
	echo more >>"$i" || exit 3
	sleep 0.02
done
cat ./* | wc -l
EOS
# A mount below /home, where there may be one, is what makes the holder need the view.
[ "$(id -u)" -ne 0 ] || mount -t tmpfs none "$home/mounted" || fail "cannot mount"
expect 0 -- with overlay viewed true
if [ -n "$(host_views)" ]; then
	in_box viewed sh "$home/read.sh" >"$scratch/read" 2>&1 &
	reading=$!
	kills=0
	while kill -0 "$reading" 2>/dev/null && [ "$kills" -lt 20 ]; do
		for pid in $(host_views); do kill -KILL "$pid" 2>/dev/null && kills=$((kills + 1)); done
		sleep 0.2
	done
	wait "$reading" || { cat "$scratch/read"; fail "reading failed after $kills kills"; }
	note "$kills kills"
	[ "$(cat "$scratch/read")" = 400 ] || { cat "$scratch/read"; fail "something was lost"; }
	[ "$(cat "$home/some/7")" = "file 7" ] || fail "written to the host"
	let_go
	note "a host view that does not start is an error, and no holder stays with it"
	cp -a "$FLOE_BUILD" "$scratch/broken"
	cp /bin/false "$scratch/broken/libexec/floe/floe-union-server"
	for i in 1 2; do
		expect 125 "host view" -- timeout 30 "$scratch/broken/bin/floe" run --ephemeral --engine overlay --command box "$box" -- true
	done
	until_true 10 no_socket || fail "its holder stays"
else
	note "this machine needs no host view"
fi
let_go
[ "$(id -u)" -ne 0 ] || umount "$home/mounted" || fail "something still uses a mount"
