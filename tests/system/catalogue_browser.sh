#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=180
# The catalogue of floe serve in a real browser: icons show, light and dark are followed, and on a telephone's
# screen nothing runs over the edge, whatever a package calls itself. Looked at pixel by pixel.
. "$(dirname "$0")/setup.sh"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
	skip "there is no Chromium (package chromium)"
command -v python3 >/dev/null || skip "python3 is not installed"

cat >"$scratch/picture.py" <<'PYTHON'
# picture.py make FILE RRGGBB | look FILE: "WIDTH HEIGHT", then for look the colours and how often each is there,
# and "edge RRGGBB" for each colour in the margin of 15 columns at the right edge.
import collections, struct, sys, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def make(path, colour):
    rows = b"".join(b"\0" + bytes.fromhex(colour) * 64 for _ in range(64))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

def pixels(path):
    data = open(path, "rb").read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    assert depth == 8 and colours in (2, 6)
    step = 3 if colours == 2 else 4
    raw, before = zlib.decompress(packed), bytes(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        how, row = raw[start], bytearray(raw[start + 1:start + 1 + width * step])
        for i in range(len(row)):
            a, b = row[i - step] if i >= step else 0, before[i]
            c = before[i - step] if i >= step else 0
            p = a + b - c
            near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, near)[how]) & 255
        before = bytes(row)
        yield [before[i:i + 3].hex() for i in range(0, len(row), step)]

if sys.argv[1] == "make":
    make(sys.argv[2], sys.argv[3])
else:
    rows = list(pixels(sys.argv[2]))
    print(len(rows[0]), len(rows))
    for colour, count in collections.Counter(c for row in rows for c in row).most_common(40):
        print(colour, count)
    for colour in sorted({c for row in rows for c in row[-15:]}):
        print("edge", colour)
PYTHON

www=$scratch/apps
mkdir "$www"
long=$(printf 'very-%.0s' $(seq 10))long
for name in app "$long"; do
	tree=$scratch/$name
	mkdir -p "$tree/bin" "$tree/share/applications" "$tree/share/icons/hicolor/64x64/apps"
	printf '#!/bin/sh\n' >"$tree/bin/$name"
	chmod 755 "$tree/bin/$name"
	if [ "$name" = app ]; then
		printf '[Desktop Entry]\nType=Application\nName=App\nExec=app\nIcon=picture\n' \
			>"$tree/share/applications/app.desktop"
		python3 "$scratch/picture.py" make "$tree/share/icons/hicolor/64x64/apps/picture.png" e0218a
	fi
	"$floe" sequence -q --from-dir "$tree" --prefix "/opt/$name" --name "$name" --version "$name.1" \
		--summary "$(printf 'Unbroken%.0s' $(seq 20)) <img src=x>" -o "$scratch/$name.floe" >"$out" 2>&1 ||
		{ cat "$out"; fail "floe sequence"; }
done
expect 0 '2 added' -- "$floe" repo add "$www" "$scratch/app.floe" "$scratch/$long.floe"

"$floe" serve "$www" --port 0 >"$scratch/serve.out" 2>&1 &
at_end+=("kill $! 2>/dev/null")
until_true 10 grep -q 'http://' "$scratch/serve.out" || fail "no address is printed"
url=$(grep -o 'http://[^ ]*' "$scratch/serve.out")

# look NAME BROWSER-OPTIONS...: what the page's picture is made of, in $scratch/NAME.colours
look() {
	local name=$1

	shift
	timeout 90 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
		--user-data-dir="$scratch/profile" --screenshot="$scratch/$name.png" "$@" "$url" >"$scratch/$name.log" 2>&1
	[ -s "$scratch/$name.png" ] || { tail -n 5 "$scratch/$name.log"; fail "the browser makes no picture"; }
	python3 "$scratch/picture.py" look "$scratch/$name.png" >"$scratch/$name.colours" || fail "no picture: $name"
}

# mostly NAME COLOUR: that is what most of the page is.
mostly() {
	sed -n 2p "$scratch/$1.colours" | grep -q "^$2 " || { head "$scratch/$1.colours"; fail "$1 is not on $2"; }
}

note "light"
look light --window-size=1100,700
mostly light f6f7f9
[ "$(sed -n 's/^e0218a //p' "$scratch/light.colours")" -ge 2500 ] ||
	{ head "$scratch/light.colours"; fail "the icon does not show"; }

note "dark"
look dark --window-size=1100,700 --blink-settings=preferredColorScheme=0
mostly dark 14171d

note "a telephone"
look phone --window-size=390,1000
head -n 1 "$scratch/phone.colours" | grep -qx '390 1000' || fail "another size: $(head -n 1 "$scratch/phone.colours")"
[ "$(grep -c '^edge' "$scratch/phone.colours")" = 1 ] && grep -qx 'edge f6f7f9' "$scratch/phone.colours" ||
	{ grep '^edge' "$scratch/phone.colours"; fail "something runs over the edge"; }

note "what the browser makes of it"
timeout 90 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --dump-dom \
	--user-data-dir="$scratch/profile" "$url" >"$scratch/dom" 2>"$scratch/dom.log"
grep -qF "floe run $long" "$scratch/dom" || fail "no command in the page"
[ "$(grep -o '<img ' "$scratch/dom" | wc -l)" = 1 ] || fail "a summary became an element"
exit 0
