#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root timeout=240
# An administrator's /etc/floe/policy.d: defaults and locks of every launch, in order of the files' names, by package, and
# what happens when a file is wrong, hidden from us, or gone again. On a copy of /etc that nobody else sees.
if [ -z "${FLOE_APART:-}" ]; then
	FLOE_APART=1 exec unshare --mount --propagation private "$0" "$@"
fi
. "$(dirname "$0")/setup.sh"

cp -a /etc "$scratch/etc" && mount --bind "$scratch/etc" /etc || skip "there is no binding of directories here"
at_end+=('umount -l /etc')
rm -rf /etc/floe
policies=/etc/floe/policy.d
mkdir -p "$policies"

make_box_tree "$scratch/tree" 1
mkdir -p "$scratch/tree/etc"
printf 'top=1\n[look]\nskin=plain\nlines=25\n' >"$scratch/tree/etc/box.ini"
for name in box other; do
	"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name $name -o "$scratch/$name.floe" \
		--config /opt/box/etc/box.ini:ini >"$scratch/sequence.log" 2>&1 ||
		{ cat "$scratch/sequence.log"; fail "floe sequence --config"; }
done
box=$scratch/box.floe
ini=/opt/box/etc/box.ini

run() { in_box box "$@"; }
reg() { "$floe" registry "$@" --env box; }

note "defaults and locks, the later file counts"
printf '# everybody\ndefault %s:look/skin = site\nlock %s:look/lines = 50\nlock %s:top = 2\n' $ini $ini $ini >$policies/10-all.policy
printf '[package box]\nlock %s:look/lines = 99\n[package other]\nlock %s:look/lines = 1\n' $ini $ini >$policies/20-box.policy
echo nonsense >$policies/30-off.policy.off
prints $'top=2\n[look]\nskin=site\nlines=99' run cat $ini
prints 1 "$floe" run --env other --command box "$scratch/other.floe" -- sed -n s/lines=//p $ini
reg explain $ini:look/lines | grep -E "^decides +site lock +99 +$policies/20-box.policy:2 " >/dev/null ||
	fail "explain: $(reg explain $ini:look/lines)"
reg explain $ini:look/skin | grep -E "^decides +site +site +$policies/10-all.policy:2 " >/dev/null ||
	fail "explain: $(reg explain $ini:look/skin)"

note "neither the program nor its user changes what is locked; a default is only that"
expect 0 '1 locked setting was put back: floe registry history --env box' -- run sed -i 's/99/7/; s/skin=.*/skin=mine/' $ini
prints $'99\nmine' reg get $ini:look/lines $ini:look/skin
reg history $ini:look/lines | grep -E 'refused +.*look/lines +99 +7 +sed ' >/dev/null || fail "history: $(reg history)"
expect 125 "locked by the administrator .*$policies/20-box.policy:2" -- reg set $ini:look/lines 7
expect 125 "locked by the administrator" -- reg lock $ini:top 7
expect 125 "locked by the administrator" -- reg unlock $ini:top

note "beside --policy, which comes after"
printf 'lock %s:look/lines = 60\n' $ini >"$scratch/mine.policy"
prints 60 "$floe" run --env box --policy "$scratch/mine.policy" --command box "$box" -- sed -n s/lines=//p $ini

note "a file that is wrong stops the launch, before anything of it counts"
printf 'lock %s:look/skin = never\nlock %s:look/lines = \\q\n' $ini $ini >$policies/40-wrong.policy
expect 125 "$policies/40-wrong.policy:2: " -- run true
prints mine reg get $ini:look/skin
rm $policies/40-wrong.policy
mkdir $policies/50-dir.policy
expect 125 "$policies/50-dir.policy" -- run true
rmdir $policies/50-dir.policy

note "what is no longer said no longer counts"
rm $policies/10-all.policy
prints $'top=1\n[look]\nskin=mine\nlines=99' run cat $ini
rm -r /etc/floe
prints $'top=1\n[look]\nskin=mine\nlines=25' run cat $ini
reg set $ini:look/lines 7 || fail "set without a policy"
prints 7 run sed -n s/lines=//p $ini
