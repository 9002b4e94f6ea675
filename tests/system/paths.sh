#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=180
# Which paths an application gets as they are, privately, or not at all: options, files, package and defaults, nested
# in each other; and what is seen of file systems that are mounted inside.
. "$(dirname "$0")/setup.sh"

make_box
work=$home/project
mkdir -p "$work/a/b/c" "$work/ro/deep" "$work/secret/open/sub" "$home/Documents/old" "$home/.config/floe"
fill() {
	for f in "$work/top" "$work/a/file" "$work/a/b/file" "$work/a/b/c/file" "$work/ro/file" "$work/ro/deep/file" \
		"$work/secret/file" "$work/secret/open/file" "$work/secret/one" "$home/Documents/file" "$home/Documents/old/file" \
		"$home/single"; do
		echo host >"$f"
	done
}
fill
engine=overlay
ln -s project "$home/link"
own=$home/.config/floe/paths.conf

with() { # OPTIONS -- SCRIPT ARGUMENTS: in environment p of $engine
	local options=()

	while [ "$1" != -- ]; do options+=("$1") && shift; done
	shift
	"$floe" run --engine "$engine" --env "p-$engine" "${options[@]}" --command box "$box" -- sh -c "$@"
}

is() { # FILE CONTENT, on the host
	[ "$(cat "$1")" = "$2" ] || fail "$1 is '$(cat "$1")' on the host instead of '$2'"
}

says() { # CONTENT of the last expect
	[ "$(tr '\n' ' ' <"$out")" = "$1" ] || { cat "$err"; fail "'$(tr '\n' ' ' <"$out")' instead of '$1'"; }
}

for engine in overlay fuse; do
fill
note "$engine: private inside direct inside private; direct inside hidden; read-only inside direct"
nested=(--share "$work" --private "$work/a" --share "$work/a/b/c" --hide "$work/a/b"
	--share "$work/ro:ro" --share "$work/ro/deep" --hide "$work/secret" --share "$work/secret/open"
	--share "$work/secret/one:ro" --hide "$home/single" --private "$work/secret/open/sub")
expect 0 -- with "${nested[@]}" -- 'cd "$1" && echo app >top && echo app >a/file && cat top a/file &&
	test ! -e a/b/file && echo app >a/b/c/file && cat a/b/c/file &&
	cat ro/file && ! echo app 2>/dev/null >ro/file && echo app >ro/deep/file && ls -A secret && cat secret/one &&
	! echo app 2>/dev/null >secret/one && echo app >secret/open/file && echo app >secret/open/sub/new &&
	! mkdir secret/new 2>/dev/null && ! mkdir a/b/new 2>/dev/null && test ! -s ../single' sh "$work"
says 'app app app host one open host '
is "$work/top" app && is "$work/a/file" host && is "$work/a/b/c/file" app && is "$work/ro/file" host
is "$work/ro/deep/file" app && is "$work/secret/open/file" app && is "$work/secret/one" host && is "$work/secret/file" host
[ ! -e "$work/secret/open/sub/new" ] || fail "a private directory inside a direct one was written through"
is "$home/single" host
expect 0 -- with -- 'cat "$1/a/file" "$1/secret/file" "$1/a/b/file"; test ! -e "$1/secret/open/sub/new" || echo kept' sh "$work"
says 'app host host kept '

note "$engine: a single file can be direct, and a link names what it leads to"
expect 0 -- with --share "$home/link/a/file" -- 'echo through >"$1/a/file"; cat "$2/a/file"' sh "$work" "$home/link"
is "$work/a/file" through
says 'through '

note "$engine: what the application had deleted privately is there again when it is shared, and empty when it is private in that"
expect 0 -- with -- 'rm -r "$1/ro" "$1/a/b"' sh "$work"
expect 0 -- with --share "$work/ro" -- 'cat "$1/ro/deep/file"' sh "$work"
says 'app '
expect 0 -- with --share "$work" --private "$work/a/b" -- 'ls -A "$1/a/b"; echo x >"$1/a/b/x"' sh "$work"
says ''
[ ! -e "$work/a/b/x" ] || fail "written through"
done
engine=overlay
fill

note "what is not there: an error from the command line, passed over from a file; what no rule changes is refused"
expect 125 'nowhere' -- with --share "$home/nowhere" -- true
for path in / /proc /sys/kernel /dev/shm /run/lock; do
	expect 125 "$path" -- with --share "$path" -- true
	expect 125 "$path" -- with --hide "$path" -- true
done
expect 0 -- with --hide "$home/nowhere" -- 'true'
cat >"$own" <<-EOS
	direct ~/nowhere       # yet
	direct ~/project
	private "@documents/old"
	hidden ~/.config/secret locked
EOS
mkdir -p "$home/.config/secret/sub" "$home/.config/secret/open" && echo host >"$home/.config/secret/file"
expect 0 -- with -- 'echo conf >"$1/project/top"; echo conf >"$1/Documents/file"; echo conf >"$1/Documents/old/file"
	ls -A "$1/.config/secret"; test ! -e "$1/nowhere" || echo made' sh "$home"
says ''
is "$work/top" conf && is "$home/Documents/file" conf && is "$home/Documents/old/file" host
[ ! -e "$home/nowhere" ] || fail "a rule made what was not there"
expect 0 'nowhere' -- "$floe" run -v --env p-overlay --command box "$box" -- true

note "the command line overrules a file, but not what is locked"
expect 0 -- with --private "$work" -- 'echo private >"$1"' sh "$work/top"
is "$work/top" conf
expect 126 'paths.conf:4 locks' -- with --share "$home/.config/secret" -- true
expect 126 'paths.conf:4 locks' -- with --share "$home/.config/secret/sub" -- true
expect 0 -- with --hide "$home/.config/secret/sub" -- true

note "--dry-run says what holds and why"
expect 0 -- "$floe" run --dry-run --env p-overlay --hide "$work/a" --command box "$box" -- true
for line in "direct    $home/project  ($own:2)" "private   $home/Documents/old  ($own:3)" "hidden    $work/a  (command line)" \
	"hidden    $home/.config/secret  ($own:4, locked)" "direct    $home/Documents  (default)" \
	"direct    $home/nowhere  ($own:1; not there)"; do
	grep -qxF "$line" "$out" || { cat "$out"; fail "--dry-run does not say: $line"; }
done

note "a mistake in a file is said with its line, and nothing runs"
printf '# x\n\nshare /tmp\n' >"$own"
expect 125 "$own:3: \"share\" is none of private" -- with -- true
rm "$own"

note "a package's rules: stronger than defaults, weaker than files"
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box --path "private:$home/Documents" \
	--path "hidden:@home/project/secret" --path "direct:@home/project/a" -o "$scratch/ruled.floe" >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log"; fail "sequence --path"; }
expect 125 'no rule can be made' -- "$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box \
	--path hidden:/proc/kcore -o "$scratch/wrong.floe"
box=$scratch/ruled.floe
expect 0 -- "$floe" run --env q --command box "$box" -- sh -c 'echo ruled >"$1/Documents/file"; echo ruled >"$1/project/a/file"
	ls -A "$1/project/secret"' sh "$home"
says ''
is "$home/Documents/file" conf && is "$work/a/file" ruled
echo 'direct @documents' >"$own"
expect 0 -- "$floe" run --env q --command box "$box" -- sh -c 'echo filed >"$1/Documents/file"' sh "$home"
is "$home/Documents/file" filed
rm "$own"

# The test of isolation of another user, beside this one, compares /etc.
exec 9<"$floe"
flock 9 || fail "flock"
[ "$(id -u)" -eq 0 ] && [ ! -e /etc/floe/paths.conf ] && mkdir -p /etc/floe || exit 0
at_end+=('umount -l "$home/site" "$work/mounted" "$work/later" "$work/direct" 2>/dev/null; umount -l /etc/floe; rmdir /etc/floe 2>/dev/null')

note "the administrator's file: locks hold against the user's"
holder_leave
mount -t tmpfs site /etc/floe || exit 0
cat >/etc/floe/paths.conf <<-EOS
	hidden ~/project/secret locked
	direct ~/project/secret/open locked
	private ~/project
EOS
printf 'direct ~/project/secret\ndirect ~/project\n' >"$own"
expect 0 -- "$floe" run --env r --command box "$box" -- sh -c 'ls -A "$1/secret"; echo site >"$1/secret/open/file"; echo user >"$1/top"' sh "$work"
says 'open '
is "$work/secret/open/file" site && is "$work/top" user
expect 126 '/etc/floe/paths.conf:1 locks' -- "$floe" run --env r --share "$work/secret/file" --command box "$box" -- true
echo nonsense >/etc/floe/paths.conf
expect 125 '/etc/floe/paths.conf:1: "nonsense"' -- "$floe" run --env r --command box "$box" -- true
umount -l /etc/floe
rm "$own"
holder_leave

note "a file system that is mounted later: seen when the environment is next used, and said while it is not"
site=/srv/floe-paths-$$
mkdir -p "$site" && at_end+=('umount -l "$site" 2>/dev/null; rmdir "$site"')
mount --make-rshared / || exit 0
box=$scratch/box.floe
expect 0 -- "$floe" run --env s --command box "$box" -- sh -c 'ls -A "$1"; echo private >"$1/own"' sh "$site"
"$floe" run --env t --command box "$box" -- sh -c 'echo >"$1"; while [ -e "$1" ]; do sleep 0.1; done' sh "$home/Documents/busy" &
until_true 20 [ -e "$home/Documents/busy" ] || fail "the application does not start"
mount -t tmpfs later "$site" && echo mounted >"$site/file" || exit 0
expect 0 -- "$floe" run --env s --command box "$box" -- cat "$site/file" "$site/own"
says 'mounted private '
expect 0 'mounted in /srv since' -- "$floe" run --env t --command box "$box" -- ls -A "$site"
says ''
rm "$home/Documents/busy"
wait
"$floe" stop t >/dev/null 2>&1 # its last process may still be ending
expect 0 -- "$floe" run --env t --command box "$box" -- cat "$site/file"
! grep -q since "$err" || fail "a note without a reason"
umount -l "$site"
holder_leave

note "file systems mounted inside: there before the launch"
mkdir "$work/mounted" "$work/later" "$work/direct" && mkdir "$work/direct/later"
mount -t tmpfs before "$work/mounted" && echo inner >"$work/mounted/file" || exit 0
mount --bind "$work/direct" "$work/direct" && mount --make-shared "$work/direct" || exit 0
expect 0 -- "$floe" run --env m --command box "$box" -- sh -c 'cat "$1/mounted/file"; echo app >"$1/mounted/file"; cat "$1/mounted/file"' sh "$work"
says 'inner app '
is "$work/mounted/file" inner
expect 0 -- "$floe" run --env m --share "$work:ro" --command box "$box" -- sh -c 'cat "$1/mounted/file"; ! echo app 2>/dev/null >"$1/mounted/file"' sh "$work"
says 'inner '
is "$work/mounted/file" inner

note "mounted while it runs: seen where it is direct"
"$floe" run --env n --share "$work/direct" --command box "$box" -- sh -c 'echo ready >"$1/direct/ready"
	i=0; while [ ! -e "$1/direct/later/file" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
	cat "$1/direct/later/file"; ls "$1/later"' sh "$work" >"$scratch/later" 2>&1 &
runs=$!
until_true 20 [ -e "$work/direct/ready" ] || fail "the application does not start"
mount -t tmpfs later "$work/later" && echo private >"$work/later/file"
mount -t tmpfs later "$work/direct/later" && echo inner >"$work/direct/later/file"
wait "$runs"
note "seen: $(tr '\n' ' ' <"$scratch/later")"
head -n 1 "$scratch/later" | grep -qx inner || { cat "$scratch/later"; fail "a mount inside a direct directory is not seen"; }
umount "$work/direct/later"
