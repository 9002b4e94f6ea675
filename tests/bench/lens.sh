#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=600
# What each lens takes to parse and render a text of 10,000 keys and one of 100,000, in the processor's time.
. "$(dirname "$0")/setup.sh"

"$FLOE_BUILD/tests/floe-test-lens-cost" 10000 11 || fail "10,000 keys"
"$FLOE_BUILD/tests/floe-test-lens-cost" 100000 3 || fail "100,000 keys"
