#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=600
# Settings of graphical programs by key, under Xvfb: each is changed through the program itself, is a key of
# `floe registry`, is changed there, and the program shows it: in the size or the title of its window, or over D-Bus.
. "$(dirname "$0")/settings/setup.sh"
for program in xwininfo xdotool dbus-run-session gdbus mousepad featherpad kcalc kreadconfig5 xfce4-appfinder xfconf-query; do
	command -v "$program" >/dev/null || skip "$program is not installed (check --full installs it)"
done
pack_by="ln -s"
open_display

shows() { xwininfo -root -tree 2>/dev/null | grep -qE "$1"; }

# start PROGRAM REGEX ARGS...: in the background, with a session bus, until its windows say REGEX
start() {
	local program=$1 regex=$2

	shift 2
	run_in "$program" GSETTINGS_BACKEND=keyfile NO_AT_BRIDGE=1 dbus-run-session -- \
		sh -c 'echo "$DBUS_SESSION_BUS_ADDRESS" >~/bus && exec "$@"' sh "$program" "$@" >"$scratch/log" 2>&1 &
	started=$!
	until_true 60 shows "$regex" || { cat "$scratch/log"; xwininfo -root -tree; fail "$program does not show $regex"; }
	window=$(xwininfo -root -tree | grep -E "$regex" | awk '{ print $1; exit }')
	until_true 20 viewable || fail "$program does not open its window"
}
viewable() { xwininfo -id "$window" 2>/dev/null | grep -q 'Map State: IsViewable'; }

has_ended() { ! kill -0 "$started" 2>/dev/null; }
# leave KEY: types it, and waits for the end of what was started
leave() {
	xdotool windowfocus --sync "$window" key "$1"
	until_true 60 has_ended || fail "it stays when $1 is typed"
	wait "$started" || { cat "$scratch/log"; fail "it ends with an error"; }
}

host_clean() { # PATH...: below the home
	local path

	for path in "$@"; do [ ! -e "$home/$path" ] || fail "$path appeared in the host's home"; done
}

pack mousepad @config/glib-2.0/settings/keyfile:gsettings
note "Mousepad: GTK's settings, changed over D-Bus as its menus change them, while it runs"
keyfile=config/glib-2.0/settings/keyfile:org/xfce/mousepad
echo text >"$home/note.txt"
actions() { # METHOD ARGS...
	run_in mousepad sh -c 'DBUS_SESSION_BUS_ADDRESS=$(cat ~/bus) exec gdbus call --session -d org.xfce.mousepad \
		-o /org/xfce/mousepad -m org.gtk.Actions."$@"' sh "$@"
}
lines_numbered() { actions Describe preferences.view.show-line-numbers | grep -q "<$1>"; }
whole='"[^"]*/note[.]txt - Mousepad"' short='"note[.]txt - Mousepad"'
start mousepad "$whole" "$home/note.txt"
lines_numbered false || fail "its state: $(actions Describe preferences.view.show-line-numbers)"
prints '()' actions Activate preferences.view.show-line-numbers '[]' '{}'
keeps() { [ "$(reg "$1" get "$2" 2>&1)" = "$3" ]; }
until_true 20 keeps mousepad $keyfile/preferences/view/show-line-numbers true || fail "no key: $(reg mousepad list --keys)"
prints '' reg mousepad set $keyfile/preferences/window/path-in-title false
until_true 30 shows "$short" || fail "it does not see at once what is set: $(reg mousepad list --keys)"
prints '' reg mousepad lock $keyfile/preferences/view/show-line-numbers false
until_true 30 lines_numbered false || fail "it does not see a lock"
actions Activate preferences.view.show-line-numbers '[]' '{}' >/dev/null 2>&1 || fail "its menu does not go on"
until_true 30 lines_numbered false || fail "it changed what is locked"
keeps mousepad $keyfile/preferences/view/show-line-numbers false || fail "the lock does not hold: $(reg mousepad list --keys)"
leave ctrl+q
prints '' reg mousepad set $keyfile/preferences/window/path-in-title true
start mousepad "$whole" "$home/note.txt"
leave ctrl+q
host_clean .config/glib-2.0

pack featherpad @config/featherpad/fp.conf:ini
note "FeatherPad: Qt's settings, written when it is left"
size=config/featherpad/fp.conf:window/size
start featherpad 'note[.]txt.* 700x500[+]' -s "$home/note.txt"
xdotool windowsize --sync "$window" 640 430
leave ctrl+q
prints '@Size(640 430)' reg featherpad get $size
prints '' reg featherpad set $size '@Size(560 380)' config/featherpad/fp.conf:text/textTabSize 7
start featherpad 'note[.]txt.* 560x380[+]' -s "$home/note.txt"
leave ctrl+q
prints $'@Size(560 380)\n7' reg featherpad get $size config/featherpad/fp.conf:text/textTabSize
host_clean .config/featherpad

pack kcalc @config/kcalcrc:kde @config/kdeglobals:kde
note "KCalc: KDE's settings, chosen in its menu"
mode=config/kcalcrc:General/CalculatorMode
start kcalc '"KCalc": .* 268x288'
xdotool windowfocus --sync "$window" key alt+s key Down Return
until_true 20 shows '"KCalc": .* 422x359' || fail "it does not become a scientific one"
leave ctrl+q
prints science reg kcalc get $mode
prints science run_in kcalc kreadconfig5 --file kcalcrc --group General --key CalculatorMode
prints '' reg kcalc set $mode simple
start kcalc '"KCalc": .* 268x288'
leave ctrl+q
prints '' run_in kcalc kwriteconfig5 --file kcalcrc --group Colors --group deeper --key 'Number Color' 1,2,3
prints 1,2,3 reg kcalc get 'config/kcalcrc:Colors/deeper/Number Color'
prints '' reg kcalc set 'config/kcalcrc:Colors/deeper/Number Color' 4,5,6 
prints 4,5,6 run_in kcalc kreadconfig5 --file kcalcrc --group Colors --group deeper --key 'Number Color'
host_clean .config/kcalcrc

channel=@config/xfce4/xfconf/xfce-perchannel-xml/xfce4-appfinder.xml
pack xfce4-appfinder $channel:xfconf
note "Xfce's application finder: its settings are kept by xfconfd, which the session bus starts"
last=${channel#@}:last
start xfce4-appfinder '"Application Finder": .* 580x422[+]' --disable-server
xdotool windowsize --sync "$window" 720 610
leave Escape
until_true 20 keeps xfce4-appfinder "$last/window-width" 720 || fail "no key: $(reg xfce4-appfinder list --keys)"
prints 610 reg xfce4-appfinder get "$last/window-height"
prints '' reg xfce4-appfinder set "$last/window-width" 640 "$last/window-height" 470
start xfce4-appfinder '"Application Finder": .* 640x470[+]' --disable-server
leave Escape
query() { run_in xfce4-appfinder dbus-run-session -- xfconf-query -c xfce4-appfinder "$@" 2>/dev/null; }
prints '' query -p /look/name -n -t string -s 'Grace & "co"'
prints 'Grace & "co"' reg xfce4-appfinder get "${last%last}look/name"
prints '' reg xfce4-appfinder set "${last%last}look/name" '<Hopper>' "${last%last}look/shown" true
prints '<Hopper>' query -p /look/name
prints '' query -p /look/shown --toggle
prints false reg xfce4-appfinder get "${last%last}look/shown"
prints '' reg xfce4-appfinder lock "$last/window-width" 700
prints '' query -p /last/window-width -s 800
prints 700 query -p /last/window-width
host_clean .config/xfce4
