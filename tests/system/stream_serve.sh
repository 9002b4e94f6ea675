#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=120
# floe serve: ranges and preconditions as RFC 9110 has them, nothing above the directory, nothing hidden, and an
# end on Ctrl-C.
. "$(dirname "$0")/setup.sh"
command -v curl >/dev/null || skip "curl is not installed"

www=$scratch/www
mkdir -p "$www/sub" "$www/.hidden"
head -c 300000 /dev/urandom >"$www/a.floe"
echo secret >"$www/.hidden/x.floe"
echo above >"$scratch/above.floe"
cp "$www/a.floe" "$www/sub/b<c>&'.floe"
ln -s ../above.floe "$www/out.floe"
ln -s a.floe "$www/in.floe"

"$floe" serve "$www" --port 0 -v >"$scratch/serve.out" 2>"$scratch/serve.err" &
server=$!
at_end+=("kill $server 2>/dev/null")
until_true 10 grep -q 'http://' "$scratch/serve.out" || fail "no address is printed"
url=$(grep -o 'http://[^ ]*' "$scratch/serve.out")

# ask EXPECTED PATH CURL-OPTIONS...: "STATUS BYTES"
ask() {
	local want=$1 path=$2 got

	shift 2
	got=$(curl -s --path-as-is -o "$scratch/body" -w '%{http_code} %{size_download}' "$@" "$url$path")
	case $got in
	"$want" | "$want "*) ;;
	*) fail "$path $*: $got instead of $want" ;;
	esac
}

note "ranges"
ask "200 300000" a.floe
cmp -s "$scratch/body" "$www/a.floe" || fail "the whole file differs"
ask "206 10" a.floe -r 10-19
cmp -s "$scratch/body" <(tail -c +11 "$www/a.floe" | head -c 10) || fail "the range differs"
ask "206 5" a.floe -H 'Range: bytes=-5'
ask "206 1" a.floe -H 'Range: bytes=299999-'
ask "206 300000" a.floe -H 'Range: bytes=0-99999999999999999999999'
ask "416 0" a.floe -H 'Range: bytes=300000-'
ask "416 0" a.floe -H 'Range: bytes=-0'
ask "200 300000" a.floe -H 'Range: bytes=0-0,5-6'
ask "200 300000" a.floe -H 'Range: bytes=5-2'
ask "200 300000" a.floe -H 'Range: lines=1-2'
ask "200 0" a.floe -I -H 'Range: bytes=1-2'
curl -s -r 10-19 -D - -o /dev/null "$url"a.floe | grep -qi '^Content-Range: bytes 10-19/300000' ||
	fail "no Content-Range"
curl -s -r 300000- -D - -o /dev/null "$url"a.floe | grep -qi '^Content-Range: bytes \*/300000' ||
	fail "no Content-Range with 416"

note "preconditions"
etag=$(curl -sI "$url"a.floe | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')
case $etag in \"*\") ;; *) fail "no strong ETag: $etag" ;; esac
ask "206 10" a.floe -r 0-9 -H "If-Match: \"x\", $etag"
ask "206 10" a.floe -r 0-9 -H 'If-Match: *'
ask "412 0" a.floe -r 0-9 -H 'If-Match: "x"'
ask "412 0" a.floe -r 0-9 -H "If-Match: W/$etag"
ask "304 0" a.floe -H "If-None-Match: W/$etag"
ask "206 10" a.floe -r 0-9 -H "If-Range: $etag"
ask "200 300000" a.floe -r 0-9 -H 'If-Range: "x"'
ask "304 0" a.floe -H "If-Modified-Since: $(LC_ALL=C date -u -d '+1 day' '+%a, %d %b %Y %H:%M:%S GMT')"
touch "$www/a.floe"
ask "412 0" a.floe -r 0-9 -H "If-Match: $etag"

note "nothing but what is offered"
for path in .hidden/x.floe .hidden/ ../above.floe %2e%2e/above.floe sub/..%2f..%2fabove.floe .%2e/above.floe \
	out.floe nothing a.floe/ a.floe/x; do
	ask 404 "$path"
done
ask "200 300000" in.floe
ask 405 a.floe -X DELETE
ask 405 a.floe -d x
ask 301 sub

note "the page"
ask 200 ""
grep -q "floe run ${url}a.floe" "$scratch/body" || fail "no command for a.floe"
grep -qE 'out\.floe|hidden' "$scratch/body" && fail "the page lists what is not served"
ask 200 sub/
grep -q 'b&lt;c&gt;&amp;&#39;.floe' "$scratch/body" || fail "a name is not escaped"
ask 200 "" -H 'Host: <script>'
grep -q '<script>' "$scratch/body" && fail "the Host header reaches the page"

note "the catalogue of a repository"
make_box 1
mkdir "$www/apps"
for version in 1.0 "2.0;'x'"; do
	"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box --version "$version" \
		--summary '<script>alert("1 & 2")</script>' -o "$scratch/$version.floe" >/dev/null 2>&1 || fail "floe sequence"
	"$floe" repo add "$www/apps" "$scratch/$version.floe" 2>"$err" || { cat "$err"; fail "floe repo add"; }
done
ask 200 apps/
grep -qF "floe add ${url}apps/" "$scratch/body" || fail "no command to subscribe"
grep -qF 'floe run box<' "$scratch/body" || fail "no command to run"
grep -qF 'floe run box@1.0<' "$scratch/body" || fail "no command to run the older version"
grep -qF '&lt;script&gt;alert(&quot;1 &amp; 2&quot;)' "$scratch/body" || fail "the summary is not shown as it is"
grep -qi '<script' "$scratch/body" && fail "the summary reaches the page as HTML"
curl -sI "${url}apps/" | grep -qi "^Content-Security-Policy: default-src 'none'" || fail "no policy for the page"
address=$(grep -o 'href="[^"]*packages/box-1.0-[^"]*"' "$scratch/body" | head -n 1 | cut -d'"' -f2)
ask 200 "${address#/}"
cmp -s "$scratch/body" "$scratch/1.0.floe" || fail "the link does not lead to the package"
sed -i 's/"box"/"bax"/' "$www/apps/repository.json"
ask 200 apps/
grep -q 'Packages in /apps/' "$scratch/body" || fail "a list with a wrong signature is shown"

note "the end"
grep -q 'GET /a.floe 206, 10 bytes from 10' "$scratch/serve.err" || fail "no access log"
kill -INT "$server"
wait "$server" || fail "ends with $?"
expect 125 'cannot serve|not an address' -- "$floe" serve "$www" --bind 192.0.2.1 --port 1
expect 125 'not a port' -- "$floe" serve "$www" --port 99999
expect 125 'No such file' -- "$floe" serve "$www/none"
expect 0 -- "$floe" serve --help
