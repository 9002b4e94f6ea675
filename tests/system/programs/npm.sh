#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# npm install and npm ci out of a cache that lies below, which npm writes to.
. "$HOST/setup.sh"
options=(--no-audit --no-fund --loglevel=error --prefer-offline --cache "$HOST/npm-cache")
cp -r "$HOST/npm" npm
cd npm
took 'npm install' npm install "${options[@]}"
node -e 'require("express"); require("lodash"); console.log(require("typescript").version)'
npm ls >/dev/null
result "$(cd node_modules && find . -type f -not -name .package-lock.json -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)"
took 'npm, rm -r' rm -rf node_modules
took 'npm ci' npm ci "${options[@]}"
result "$(cd node_modules && find . -type f -not -name .package-lock.json -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)"
result "$(cd node_modules && find . -printf '%P|%y|%m|%l\n' | LC_ALL=C sort | sha256sum)"
