#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root,user timeout=400
# Settings of real programs of the desktop and of larger runtimes by key: each is changed through the program itself,
# is a key of `floe registry`, is changed there, and the program goes by it.
. "$(dirname "$0")/settings/setup.sh"
pack_by="ln -s"

if pack node @home/.npmrc:ini @home/project/package.json:json @config/editor/settings.json:json; then
	note "npm: its own settings, and the JSON of a project"
	npm_() { run_in node npm --no-update-notifier "$@"; }
	prints '' npm_ config set --location=user fund=false
	prints false reg node get home/.npmrc:fund
	prints '' reg node set home/.npmrc:init-license MIT home/.npmrc:fund true
	prints true npm_ config get fund
	run_in node sh -c 'mkdir project && cd project && npm init -y' >"$out" 2>&1 || fail "npm init: $(cat "$out")"
	prints MIT reg node get home/project/package.json:license
	prints '' run_in node sh -c 'cd project && npm pkg set scripts.hello="echo hello" private=true --json=false'
	prints 'echo hello' reg node get home/project/package.json:scripts/hello
	prints '' reg node set home/project/package.json:scripts/hello 'echo from a key'
	prints 'from a key' run_in node sh -c 'cd project && npm run -s hello'

	note "node: a program saves its JSON as Electron's do, beside it and renamed"
	cat >"$home/editor.js" <<-'JS'
		const fs = require('fs'), dir = process.env.HOME + '/.config/editor', file = dir + '/settings.json';
		let settings = { editor: { tabSize: 4, ruler: 1.50 }, window: { theme: 'light' } };
		try { settings = JSON.parse(fs.readFileSync(file, 'utf8')); } catch (e) { if (e.code !== 'ENOENT') throw e; }
		const [name, value] = process.argv.slice(2);
		if (name) {
			settings.editor[name] = JSON.parse(value);
			fs.mkdirSync(dir, { recursive: true });
			fs.writeFileSync(file + '.tmp', JSON.stringify(settings, null, '\t') + '\n');
			fs.renameSync(file + '.tmp', file);
		}
		console.log(settings.window.theme, settings.editor.tabSize);
	JS
	editor() { run_in node node "$home/editor.js" "$@"; }
	prints 'light 8' editor tabSize 8
	prints $'8\nlight' reg node get config/editor/settings.json:editor/tabSize config/editor/settings.json:window/theme
	prints '' reg node set config/editor/settings.json:window/theme dark config/editor/settings.json:editor/tabSize 2
	prints 'dark 2' editor
	prints '' reg node lock config/editor/settings.json:editor/tabSize 3
	editor tabSize 9 >/dev/null || fail "it does not go on with a locked key"
	prints 'dark 3' editor
	[ ! -e "$home/.config/editor" ] && [ ! -e "$home/.npmrc" ] && [ ! -e "$home/project" ] || fail "the host's home was changed"
fi

if command -v glib-compile-schemas >/dev/null && pack gsettings @config/glib-2.0/settings/keyfile:gsettings; then
	note "GSettings: the keyfile behind every GTK program"
	mkdir "$home/schemas"
	cat >"$home/schemas/org.example.shelf.gschema.xml" <<-'XML'
		<schemalist><schema id="org.example.shelf" path="/org/example/shelf/">
		<key name="skin" type="s"><default>'plain'</default></key>
		<key name="columns" type="i"><default>3</default></key>
		</schema></schemalist>
	XML
	glib-compile-schemas "$home/schemas" || fail "glib-compile-schemas"
	gsettings_() { run_in gsettings GSETTINGS_BACKEND=keyfile GSETTINGS_SCHEMA_DIR="$home/schemas" gsettings "$@"; }
	keyfile=config/glib-2.0/settings/keyfile:org/example/shelf
	prints "'plain'" gsettings_ get org.example.shelf skin
	prints '' gsettings_ set org.example.shelf skin "it's dark"
	prints '"it'"'"'s dark"' reg gsettings get $keyfile/skin
	prints '' reg gsettings set $keyfile/skin "'blue'" $keyfile/columns 5
	prints "'blue'" gsettings_ get org.example.shelf skin
	prints 5 gsettings_ get org.example.shelf columns
	prints '' gsettings_ reset org.example.shelf skin
	prints FAILS reg gsettings get $keyfile/skin
	[ ! -e "$home/.config/glib-2.0" ] || fail "the host's home was changed"
fi

if command -v javac >/dev/null && pack java @config/shelf/shelf.properties:properties; then
	note "Java: a Properties file"
	cat >"$home/Shelf.java" <<-'JAVA'
		import java.io.*;
		import java.nio.file.*;
		import java.util.Properties;
		class Shelf {
			public static void main(String[] args) throws IOException {
				Path file = Path.of(System.getProperty("user.home"), ".config/shelf/shelf.properties");
				Properties settings = new Properties();
				if (Files.exists(file)) try (Reader in = Files.newBufferedReader(file)) { settings.load(in); }
				if (args.length > 1) {
					settings.setProperty(args[0], args[1]);
					Files.createDirectories(file.getParent());
					try (OutputStream out = new FileOutputStream(file.toFile())) { settings.store(out, "Shelf"); }
				}
				System.out.println(settings.getProperty(args[0]));
			}
		}
	JAVA
	javac -d "$home" "$home/Shelf.java" || fail "javac"
	shelf() { run_in java java -Duser.home="$home" -cp "$home" Shelf "$@"; }
	prints 'größe: 3 = x' shelf 'look/skin name' 'größe: 3 = x'
	prints 'größe: 3 = x' reg java get 'config/shelf/shelf.properties:look/skin name'
	prints '' reg java set config/shelf/shelf.properties:look/columns 12 'config/shelf/shelf.properties:look/skin name' 'C:\new'
	prints 12 shelf look/columns
	prints 'C:\new' shelf 'look/skin name'
	[ ! -e "$home/.config/shelf" ] || fail "the host's home was changed"
fi
