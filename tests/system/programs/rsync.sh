#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rsync -aHAX there and back again, out of the package and into it.
. "$HOST/setup.sh"
mkdir from
cp -r "$PACKAGE/share" from/share
for i in $(seq 500); do echo "$i" >"from/$i"; done
ln from/1 from/hard
ln from/1 from/harder
ln -s hard from/soft
mkfifo from/fifo
if command -v setfattr >/dev/null; then setfattr -n user.a -v b from/hard; fi
if command -v setfacl >/dev/null; then setfacl -m u:1:r from/2 || true; fi
chmod 640 from/3
chmod 2750 from/share
truncate -s 1M from/holes
printf end >>from/holes
find from -exec touch -h -d '2001-02-03 04:05:06.789' {} +

took 'rsync -aHAX' rsync -aHAX from/ to/
test -z "$(rsync -aHAXi from/ to/)"
took 'rsync back' rsync -aHAX to/ back/
test -z "$(rsync -aHAXic from/ back/)"
result "$(digest from) $(digest back)"
rsync -aHAX --delete back/ "$PACKAGE/share/"
test -z "$(rsync -aHAXic back/ "$PACKAGE/share/")"
result "$(digest "$PACKAGE/share")"
rsync -aHAX --delete --inplace "$PACKAGE/share/" "$HOST/npm/"
test -z "$(rsync -aHAXic "$PACKAGE/share/" "$HOST/npm/")"
result "$(digest "$HOST/npm")"
result "$(stat -c '%h %i' back/1 back/hard back/harder | sort -u | wc -l) $(stat -c %h back/1)"
