#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Saves settings in each way that programs have, and reads them back at once.
set -e
mkdir -p "$HOME/.config/box"
[ -e "$HOME/.config/box/new.ini" ] || printf '[look]\nn=0\n' >"$HOME/.config/box/new.ini"
for i in $(seq 150); do
	for file in /opt/box/etc/box.ini "$HOME/.config/box/new.ini"; do
		case $((i % 3)) in
		0) sed -i "s/^n *=.*/n=$i/" "$file" ;; # renamed over it
		1) text=$(sed "s/^n *=.*/n=$i/" "$file") && printf '%s\n' "$text" >"$file" ;; # emptied and written
		2) python3 -c '
import os, sys
path, n = sys.argv[1:]
text = "".join("n=%s\n" % n if l.replace(" ", "").startswith("n=") else l for l in open(path))
with open(path + ".part", "w") as f: f.write(text)
os.replace(path + ".part", path)' "$file" "$i" ;;
		esac
		printf 'k%s=v%s\n' "$i" "$i" >>"$file"
		grep -qE "^n *= *$i\$" "$file" && grep -qE "^k$i *= *v$i\$" "$file" || { echo "not what was saved: $i in $file"; cat "$file"; exit 1; }
	done
done
