#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# The host view (a union server with the host and nothing else) against the real kernel: content and names as on the
# host, owners usable, what may not be read empty, changes seen, floe's own mounts left out, an overlay on top that may
# write everywhere, and another server in place of one that was killed.
. "$(dirname "$0")/setup.sh"

command -v python3 >/dev/null || skip "python3 is not installed"
[ -w /dev/fuse ] || skip "/dev/fuse may not be opened"
if [ "$(id -u)" -eq 0 ]; then own=(unshare -m); else own=(unshare -Urm); fi
"${own[@]}" true 2>/dev/null || skip "no mount namespace may be made here"

export PYTHONDONTWRITEBYTECODE=1
"${own[@]}" python3 "$(dirname "$0")/host_view.py" "$scratch" || fail "see above"
