/* SPDX-License-Identifier: Apache-2.0 */
/* Shim and broker together. The programs that save settings are in test_shim_helper.h, and real ones. */
#include "tests/unit/registry-shim/test_shim_helper.h"

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_every_way_to_save(void **state)
{
	struct stat st;

	(void)state;
	for (size_t i = 0; helpers[i].name; i++) {
		int status = helper(helpers[i].name, file);
		struct reg_hive *h = NULL;
		enum reg_layer layer;
		char *got = NULL;
		struct err e;

		if (status != 0 && status != 128 + SIGKILL)
			fail_msg("%s: status %d", helpers[i].name, status);
		assert_int_equal(reg_hive_open(db, &h, &e), 0);
		if (reg_hive_get(h, "config/app/ini", "s/k", &got, &layer, &e) < 0 ||
		    strcmp(got, helpers[i].name) != 0)
			fail_msg("%s: the setting is %s", helpers[i].name, got ? got : "not there");
		free(got);
		reg_hive_close(h);
		assert_ini("s/junk", NULL);
		assert_true(stat(file, &st) < 0); /* the real one is never touched */
	}
	assert_int_equal(harvest(), 0);
}

static void test_looking(void **state)
{
	(void)state;
	assert_int_equal(helper("missing", file), 0);
	assert_int_equal(helper("creat", file), 0);
	assert_int_equal(helper("look", file), 0);
	sh("rm .config/app/settings.ini");
	assert_ini("s/k", NULL);
	assert_int_equal(helper("missing", file), 0);
	assert_int_equal(helper("cost", file), 0);
}

static void test_killed(void **state)
{
	(void)state;
	assert_int_equal(helper("killed", file), 128 + SIGKILL);
	assert_int_equal(harvest(), 0);
	assert_ini("s/k", NULL);
	assert_int_equal(helper("open", file), 0);
	/* Written or emptied, then killed: an interrupted save, not a wish to lose everything. */
	assert_int_equal(helper("killed", file), 128 + SIGKILL);
	assert_int_equal(helper("truncated", file), 128 + SIGKILL);
	assert_int_equal(harvest(), 0);
	assert_ini("s/k", "open");
	assert_string_equal(sh("cat .config/app/settings.ini"), "[s]\nk=open\n");
}

static void test_broker_gone(void **state)
{
	(void)state;
	assert_int_equal(helper("open", file), 0);
	sh("echo x=1 > .otherrc");
	kill(broker, SIGKILL);
	waitpid(broker, NULL, 0);
	close(control);
	/* The last thing it did was to put another file in the place of one that is being written. */
	assert_string_equal(
		sh("exec 3>.config/app/settings.ini; set -- \"$FLOE_SHIM_TEST_RUN\"/view/*-settings.ini; "
		   "cp \"$1\" \"$1.old\" && mv \"$1.old\" \"$1\"; printf '[s]\\nk=kept\\n' >&3; exec 3>&-; "
		   "cat .config/app/settings.ini"),
		"[s]\nk=kept\n");
	assert_int_equal(helper("rename", file), 128 + SIGKILL);
	assert_string_equal(sh("cat .config/app/settings.ini"), "[s]\nk=rename\n");
	sh("rm .otherrc; ! test -e .otherrc");
	assert_ini("s/k", "open");
	start_broker();
	configure();
	assert_ini("s/k", "rename");
	sh("! test -e .otherrc");
	/* The holder's whole directory is new after a restart of the machine: all comes from the hive. */
	leave_broker();
	sh("rm -r \"$FLOE_SHIM_TEST_RUN\"/*");
	start_broker();
	configure();
	assert_string_equal(sh("cat .config/app/settings.ini; ! test -e .otherrc"), "[s]\nk=rename\n");
}

/* The broker is killed again and again while a program saves; whatever it was told is in the hive, and
 * nothing else but what it last wrote. */
static void test_broker_killed(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		char command[200], value[16];
		pid_t child = fork();

		if (child == 0) {
			enter_shim();
			sprintf(command,
				"for n in 1 2 3 4 5 6; do printf '[s]\\na=%d.%%s\\nb=%d.%%s\\n' $n $n >t; "
				"mv t .config/app/settings.ini; done",
				i, i);
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
			_exit(98);
		}
		usleep((useconds_t)(i * 3000));
		kill(broker, SIGKILL);
		waitpid(broker, NULL, 0);
		close(control);
		start_broker();
		configure();
		assert_int_equal(waitpid(child, NULL, 0), child);
		(void)harvest();
		sprintf(value, "%d.6", i);
		assert_ini("s/a", value);
		assert_ini("s/b", value);
	}
}

static void test_real_programs(void **state)
{
	char cmd[600];

	(void)state;
	sh("printf '; mine\\n[s]\\nk=1\\nl = 2\\n' > .config/app/settings.ini");
	assert_ini("s/k", "1");
	sh("sed -i s/k=1/k=2/ .config/app/settings.ini");
	assert_ini("s/k", "2");
	sh("echo m=3 >> .config/app/settings.ini");
	assert_ini("s/m", "3");
	assert_string_equal(sh("cat .config/app/settings.ini"), "; mine\n[s]\nk=2\nl = 2\nm=3\n");
	sh("cp .config/app/settings.ini copy; mv .config/app/settings.ini moved; cmp copy moved; "
	   "! test -e .config/app/settings.ini");
	assert_ini("s/k", NULL);
	sh("cp -p copy .config/app/settings.ini; grep -q mine .config/app/settings.ini; rm copy moved");
	assert_ini("s/k", "2");
	sh("(echo '[s]'; echo k=4) | tee .config/app/settings.ini >/dev/null");
	assert_ini("s/k", "4");
	assert_ini("s/l", NULL);
	sh("printf '[s]\\nk=5\\n' | dd of=.config/app/settings.ini 2>/dev/null");
	assert_ini("s/k", "5");
	sh("cd .config/app && install -m 600 /dev/null settings.ini && cat >settings.ini <<X\n[s]\nk=6\nX");
	assert_ini("s/k", "6");
	if (system("command -v python3 >/dev/null") == 0) {
		sprintf(cmd, "python3 -c \"import configparser,os\n"
			     "p=configparser.ConfigParser()\n"
			     "f=os.path.expanduser('~/.config/app/settings.ini')\n"
			     "p.read(f)\n"
			     "assert p['s']['k']=='6'\n"
			     "p['s']['k']='7'\n"
			     "p.write(open(f+'.t','w'))\n"
			     "os.replace(f+'.t',f)\n\"");
		sh(cmd);
		assert_ini("s/k", "7");
	}
	if (system("command -v perl >/dev/null") == 0) {
		sh("perl -pi -e 's/^k.*/k=8/' .config/app/settings.ini");
		assert_ini("s/k", "8");
	}
}

/* A file without a lens: kept to the byte, whatever it is. */
static void test_opaque(void **state)
{
	(void)state;
	sh("head -c 100000 /dev/urandom > u; cat u > .otherrc; cmp u .otherrc");
	leave_broker();
	sh("rm -r \"$FLOE_SHIM_TEST_RUN\"/*");
	start_broker();
	configure();
	sh("cmp u .otherrc; rm u");
	/* One with a lens that stops being understood, and is again. */
	sh("printf '[s]\\nk=1\\n' > .config/app/settings.ini");
	sh("printf '{ \"k\": 2 }\\n' > .config/app/settings.ini");
	assert_string_equal(sh("cat .config/app/settings.ini"), "{ \"k\": 2 }\n");
	assert_ini("s/k", "1");
	sh("printf '[s]\\nk=3\\n' > .config/app/settings.ini");
	assert_ini("s/k", "3");
}

static void write_text(const char *path, const char *text)
{
	struct err e;

	assert_int_equal(fd_write_file(AT_FDCWD, path, text, strlen(text), 0644, &e), 0);
}

static void test_defaults(void **state)
{
	static const char packed[] = "config/app/ini\0s/p\0packed\0another\0s/q\0no";
	char vendor[200];

	(void)state;
	/* The host's own settings, when the package has none. */
	write_text(file, "# host\n[s]\nh=host\n");
	configure();
	assert_string_equal(sh("cat .config/app/settings.ini"), "# host\n[s]\nh=host\n");
	sh("sed -i s/h=host/h=mine/ .config/app/settings.ini");
	assert_ini("s/h", "mine");
	/* The package's own text, version 1; then version 2 with the user's change in it. */
	sprintf(vendor, "%s/vendor.ini", top);
	write_text(vendor, "; v1\n[s]\nA=1\nB=2\n");
	configure_with(vendor, NULL, 0);
	assert_string_equal(sh("cat .config/app/settings.ini"), "; v1\n[s]\nA=1\nB=2\nh=mine\n");
	sh("sed -i 's/B=2/B=5/; /^h=/d' .config/app/settings.ini");
	write_text(vendor, "; v2\n[s]\nA=10\n; about B\nB=20\nC=30\n");
	configure_with(vendor, NULL, 0);
	assert_string_equal(sh("cat .config/app/settings.ini"), "; v2\n[s]\nA=10\n; about B\nB=5\nC=30\n");
	write_text(vendor, "; v1\n[s]\nA=1\nB=2\n");
	configure_with(vendor, NULL, 0);
	assert_string_equal(sh("cat .config/app/settings.ini"), "; v1\n[s]\nA=1\nB=5\n");
	/* Keys without a text. */
	configure_with("", packed, sizeof(packed));
	assert_string_equal(sh("grep -c '^[pB]=' .config/app/settings.ini"), "2\n");
	assert_ini("s/p", "packed");
	assert_ini("s/q", NULL);
	assert_ini("s/A", NULL);
}

static int connect_client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	sprintf(a.sun_path, "%s/registry.sock", run_dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void test_refresh(void **state)
{
	struct reg_change c = { "s/k", "set outside" };
	struct wire_out m = WIRE_OUT_INIT;
	struct wire_in reply = WIRE_IN_INIT;
	struct reg_hive *h = NULL;
	int fd = connect_client();
	size_t n;
	struct err e;

	(void)state;
	sh("printf '; c\\n[s]\\nk=1\\nl=2\\n' > .config/app/settings.ini");
	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	assert_int_equal(reg_hive_apply(h, "config/app/ini", &c, 1, &n, &e), 0);
	assert_int_equal(wire_put_str(&m, "type", "refresh", &e), 0);
	assert_int_equal(wire_send(fd, &m, &e), 0);
	assert_int_equal(wire_recv(fd, &reply, &e), 1);
	assert_true(wire_is(&reply, "type", "done"));
	assert_string_equal(sh("cat .config/app/settings.ini"), "; c\n[s]\nk=set outside\nl=2\n");
	/* Another key set without telling anyone is kept when a program saves. */
	c = (struct reg_change){ "s/new", "silent" };
	assert_int_equal(reg_hive_apply(h, "config/app/ini", &c, 1, &n, &e), 0);
	sh("sed -i s/l=2/l=3/ .config/app/settings.ini");
	assert_ini("s/new", "silent");
	assert_ini("s/l", "3");
	assert_string_equal(sh("grep new .config/app/settings.ini"), "new=silent\n");
	reg_hive_close(h);
	wire_in_fini(&reply);
	wire_out_fini(&m);
	close(fd);
}

/* Silent clients, loud ones, and things in view/ that are no files. */
static void test_hostile(void **state)
{
	char noise[4096], view[300];
	int clients[100];
	unsigned seed = 1;
	int fifo;

	(void)state;
	for (int i = 0; i < 100; i++) {
		clients[i] = connect_client();
		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (char)rand_r(&seed);
		if (i % 2)
			(void)!send(clients[i], noise, 1 + (size_t)rand_r(&seed) % sizeof(noise),
				    MSG_NOSIGNAL);
	}
	assert_int_equal(helper("open", file), 0);
	assert_ini("s/k", "open");
	for (int i = 0; i < 100; i++)
		close(clients[i]);
	sprintf(view, "cd \"$FLOE_SHIM_TEST_RUN/view\" && rm -f *settings.ini && mkfifo $(basename "
		      "$(cut -f2 ../paths | head -1))");
	sh(view);
	assert_int_equal(harvest(), 0);
	sh("cd \"$FLOE_SHIM_TEST_RUN/view\" && rm -f *settings.ini && ln -s /etc/passwd $(cut -f2 ../paths | "
	   "head -1)");
	(void)harvest();
	assert_ini("s/k", "open");
	/* A commit with a FIFO or a device instead of a file. */
	sh("mkfifo pipe");
	sprintf(view, "%s/pipe", home);
	fifo = open(view, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		struct wire_out m = WIRE_OUT_INIT;
		struct wire_in reply = WIRE_IN_INIT;
		char name[300];
		struct err e;
		int fd = connect_client();

		strcpy(name, sh("head -1 \"$FLOE_SHIM_TEST_RUN/paths\" | cut -f2 | tr -d '\\n'"));
		assert_int_equal(wire_put_str(&m, "type", i ? "replace" : "commit", &e), 0);
		assert_int_equal(wire_put_str(&m, "name", name, &e), 0);
		assert_int_equal(wire_put_fd(&m, fifo, &e), 0);
		assert_int_equal(wire_send(fd, &m, &e), 0);
		assert_int_equal(wire_recv(fd, &reply, &e), 1);
		assert_true(wire_is(&reply, "type", "failed"));
		wire_in_fini(&reply);
		wire_out_fini(&m);
		close(fd);
	}
	close(fifo);
	assert_int_equal(helper("creat", file), 0);
	assert_ini("s/k", "creat");
}

static void test_many_at_once(void **state)
{
	char key[32];

	(void)state;
	sh("echo '[s]' > .config/app/settings.ini; for i in $(seq 100); do (echo k$i=$i >> "
	   ".config/app/settings.ini) & done; wait");
	for (int i = 1; i <= 100; i++) {
		char value[16];

		sprintf(key, "s/k%d", i);
		sprintf(value, "%d", i);
		assert_ini(key, value);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_way_to_save, setup, teardown),
		cmocka_unit_test_setup_teardown(test_looking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broker_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broker_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real_programs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opaque, setup, teardown),
		cmocka_unit_test_setup_teardown(test_defaults, setup_bare, teardown),
		cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[1], "helper"))
		return helper_main(argv[2], argv[3]);
	return find_programs() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
