#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=600
# An upper becomes a read-only layer under a new one, three levels deep, in either engine and in both by turns: the
# tree stays what it was, random operations go on as on a plain directory, and without the newest layers the older
# states are back. With floe's own engine also what overlayfs has no notion of: renamed directories, counted links,
# other owners.
. "$(dirname "$0")/setup.sh"

tests=$FLOE_BUILD/tests/union
[ -x "$tests/freeze" ] || fail "there is no $tests/freeze"
options=()
[ "$(id -u)" -eq 0 ] || options=(--root --map-owners)

fresh() { # NAME: $dir, with $layers and the plain tree that goes through the same
	dir=$scratch/$1 layers=()
	mkdir -p "$dir"/{lower,upper,work,target}
}

# on ENGINE COMMAND...: in the union of the upper, the frozen ones and the lower
on() {
	local engine=$1 status=0

	shift
	timeout -k 10 200 "$tests/union_mount" --engine "$engine" "${options[@]}" "${layers[@]}" --lower "$dir/lower" \
		--upper "$dir/upper" --work "$dir/work" "$dir/target" -- "$@" 2>"$dir/err" </dev/null || status=$?
	if [ "$status" = 77 ] && grep -q 'built without' "$dir/err"; then skip "no such engine in this build"; fi
	[ "$status" = 0 ] || { tail -n 60 "$dir/err"; fail "$engine, $((${#layers[@]} / 2)) frozen: status $status: $*"; }
}

freeze() { # NAME: the newest of the frozen ones
	"$tests/freeze" "$dir/upper" "$dir/work" "$dir/$1" >"$dir/took" || fail "freeze"
	[ -z "$(ls -A "$dir/upper")" ] || fail "the new upper is not empty"
	layers=(--frozen "$dir/$1" "${layers[@]}")
}

# The same, without the newest one and with an upper of its own.
at_level() { # ENGINE LEVEL COMMAND...
	local engine=$1 level=$2 all=("${layers[@]}") upper=$dir/upper

	shift 2
	layers=("${all[@]:2*(${#all[@]} / 2 - level)}")
	mv "$dir/upper" "$dir/aside" && mkdir "$dir/upper"
	on "$engine" "$@"
	chmod -R u+rwX "$upper" && rm -rf "$upper" && mv "$dir/aside" "$upper"
	layers=("${all[@]}")
}

# random ENGINE... [-- MODEL OPTIONS]: a level for each
random() {
	local engines=() level=0 engine

	while [ $# -gt 0 ] && [ "$1" != -- ]; do engines+=("$1") && shift; done
	shift
	note "random operations on ${engines[*]}"
	fresh "random-$(IFS=- && echo "${engines[*]}")"
	"$tests/union_model" prepare "$dir/lower" --seed 7 && cp -a "$dir/lower" "$dir/plain.0" || fail "the lower"
	for engine in "${engines[@]}"; do
		cp -a "$dir/plain.$level" "$dir/plain.$((level + 1))" || fail "the plain tree"
		level=$((level + 1))
		on "$engine" "$tests/union_model" run . "$dir/plain.$level" --ops 6000 --seed "$((level * 31))" \
			--threads 2 --frozen "$@"
		freeze "frozen.$level"
		on "$engine" "$tests/union_model" compare . "$dir/plain.$level"
	done
	for level in $(seq 0 "$level"); do at_level "$engine" "$level" "$tests/union_model" compare . "$dir/plain.$level"; done
	chmod -R u+rwX "$dir" && rm -rf "$dir"
}

random overlay overlay overlay -- --overlay
random fuse fuse fuse --
random fuse overlay fuse overlay -- --overlay

# ---- what has a feature, by name
note "directories, links and owners"
fresh features
owner=0:0
if [ "$(id -u)" -eq 0 ]; then
	options=(--map-owners)
	owner=7:8 # a user namespace of one user's knows no others
fi
mkdir -p "$dir"/lower/{old/deep,gone,kept}
for i in 1 2 3; do echo "deep $i" >"$dir/lower/old/deep/$i"; done
echo below >"$dir/lower/three" && ln "$dir/lower/three" "$dir/lower/kept/three" && ln "$dir/lower/three" "$dir/lower/gone/three"
echo owned >"$dir/lower/owned"
ln -s target "$dir/lower/link" && ln "$dir/lower/link" "$dir/lower/link too"
cat >"$dir/change" <<'S' # LEVEL OWNER
set -e
mv old$(($1 - 1)) old$1 2>/dev/null || mv old old$1
mv old$1/deep old$1/deeper && mv old$1/deeper old$1/deep
echo level $1 >old$1/deep/1
echo level $1 >>kept/three
echo new $1 >made$1 && ln made$1 "made$1 too"
ln kept/three "three of $1"
[ "$1" != 1 ] || { rm three; chown $2 owned; chmod 4711 owned; }
[ "$1" != 2 ] || { rm gone/three; echo more >>"made1 too"; ln made1 "made1 again"; }
[ "$1" != 3 ] || { mv "made1 again" "made2"; chmod 600 owned; touch -h link; }
S
cat >"$dir/look" <<'S' # LEVEL NUMBERS OWNER
set -e
say() { echo "level $1: $2"; exit 1; }
same() { [ "$2" = "$3" ] || say "$1" "'$2' instead of '$3'"; }
[ ! -e .floe ] || say $1 "the index of links shows"
! ls -a | grep -q floe || say $1 "the index of links is listed"
same $1 "$(cat old$1/deep/1)" "level $1"
same $1 "$(cat old$1/deep/2)" "deep 2"
same $1 "$(ls | grep -c '^old')" 1
same $1 "$(tail -n 1 kept/three)" "level $1"
[ ! -e three ] || say $1 "a deleted link is back"
for i in $(seq $1); do
	same $1 "$(cat "three of $i")" "$(cat kept/three)"
	[ "three of $i" -ef kept/three ] || say $1 "a link has come apart"
done
case $1 in
1) same $1 "$(cat gone/three)" "$(cat kept/three)"; n=3 ;;
*) [ ! -e gone/three ] || say $1 "a deleted link is back"; n=$(($1 + 1)) ;;
esac
same $1 "$(stat -c %h kept/three)" $n
same $1 "$(stat -c %u:%g owned)" "$3"
[ $1 = 3 ] || same $1 "$(stat -c %a owned)" 4711
case $1 in
1) same $1 "$(stat -c %h made1)" 2 ;;
2) same $1 "$(stat -c %h made1)" 3 && same $1 "$(cat made1)" "new 1
more" && [ made1 -ef "made1 again" ] && [ made1 -ef "made1 too" ] ;;
3) same $1 "$(stat -c %h made1)" 3 && [ made1 -ef made2 ] && same $1 "$(stat -c %h:%n "made2 too")" "1:made2 too" &&
	same $1 "$(stat -c %a owned)" 600 ;;
esac
# The number that a listing gives is the one that stat gives.
find . -mindepth 1 -printf '%i %p\n' | sort -k2 >"$2"
ls -RU1i | grep -E '^ *[0-9]+ ' | awk '{print $1}' | sort -n >"$2.listed"
find . -mindepth 1 -printf '%i\n' | sort -n | cmp -s - "$2.listed" || say $1 "d_ino is not st_ino"
S
for level in 1 2 3; do
	on fuse sh "$dir/change" "$level" "$owner"
	on fuse sh "$dir/look" "$level" "$dir/before" "$owner"
	freeze "frozen.$level"
	on fuse sh "$dir/look" "$level" "$dir/after" "$owner"
	cp "$dir/after" "$dir/numbers.$level"
	cmp -s "$dir/before" "$dir/after" || { diff "$dir/before" "$dir/after" | head; fail "freezing changed inode numbers"; }
done
for level in 1 2 3; do
	at_level fuse "$level" sh "$dir/look" "$level" "$dir/back" "$owner"
	cmp -s "$dir/back" "$dir/numbers.$level" || fail "other inode numbers than then"
done

# ---- how long
for count in 10 100000; do
	fresh "of-$count"
	(cd "$dir/upper" && seq "$count" | split -l 1000 --filter='d=$(head -n 1 | tr -d "\n"); mkdir d$d && cd d$d && seq 1000 | head -n '"$count"' | xargs touch') ||
		fail "an upper of $count files"
	sync "$dir/upper" # what is not on the disk yet is not ours
	freeze frozen
	note "freezing $(find "$dir/frozen" -type f | wc -l) files took $(cat "$dir/took")"
	rm -rf "$dir"
done
