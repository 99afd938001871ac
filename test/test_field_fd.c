/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

/* An event on descriptor 3 of process 4 with this record (NULL: not known). */
static struct fd_rec *works_on(uint32_t code, const struct fd_draft *d)
{
	struct thread *t = thread_find(st.threads, 4);

	if (!t)
		t = add_process(4, 0, "tool");
	event_is(code, t);
	t->last_fd = evt.fdnum = d ? 3 : -1;
	evt.fd = d ? fd_publish(st.fds, &t->fds, 3, d) : NULL;
	return evt.fd;
}

static void paths_in_parts(void **state)
{
	static const struct {
		uint8_t type;
		const char *name, *directory, *filename;
	} rows[] = {
		{ FD_FILE, "/etc/passwd", "/etc", "passwd" },
		{ FD_FILE_V2, "/passwd", "/", "passwd" },
		{ FD_FILE, "passwd", "/", "/" },
		{ FD_FILE, "/etc/", "/etc/", "/etc/" },
		{ FD_FILE, "", "/", "/" },
		{ FD_DIRECTORY, "/etc/ssl", "/etc/ssl", MISSING },
		{ FD_FIFO, "pipe:[7]", MISSING, MISSING },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fd_draft d = { .type = rows[i].type, .name = str_of(rows[i].name) };

		works_on(EV_SYSCALL_READ_X, &d);
		expect("fd.name", rows[i].name);
		expect("fd.directory", rows[i].directory);
		expect("fd.filename", rows[i].filename);
	}
	expect("fd.containername", ":pipe:[7]");
}

static void raw_names_lose_repeated_slashes(void **state)
{
	struct fd_draft d = { .type = FD_FILE, .name = STR("/etc/a"), .raw = STR("//etc///../etc/a//") };

	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.nameraw", "/etc/../etc/a/");
}

static void events_without_descriptors_have_no_fd_fields(void **state)
{
	struct fd_draft d = { .type = FD_FILE, .name = STR("/a") };

	works_on(EV_SYSCALL_GETCWD_X, &d);
	expect("fd.num", MISSING);
	expect("fd.name", MISSING);
	expect("fd.typechar", MISSING);
	expect_items("fd.ip", MISSING);
}

static void param(uint32_t i, const void *p, uint32_t len)
{
	evt.param[i] = (struct param){ p, len };
	if (evt.h.nparams <= i)
		evt.h.nparams = i + 1;
}

static void a_failed_open_tells_its_path(void **state)
{
	int64_t cwd = -100;

	works_on(EV_SYSCALL_OPENAT_2_X, NULL);
	thread_set_text(st.threads, &evt.thread->cwd, STR("/home/ann/"));
	param(1, &cwd, 8);
	param(2, "../bob//x", 10);
	expect("fd.num", "-1");
	expect("fd.name", "/home/bob/x");
	expect("fd.nameraw", "../bob/x");
	expect("fd.directory", "/home/bob");
	expect("fd.filename", MISSING);
	expect("fd.type", MISSING);
	expect("fd.typechar", "f");
	expect("fd.uid", "4-1");
	param(2, "", 0);
	expect("fd.name", MISSING);
}

static void without_a_record_other_exits_have_an_empty_name(void **state)
{
	works_on(EV_SYSCALL_READ_X, NULL);
	expect("fd.name", "");
	expect("fd.directory", "/");
	expect("fd.typechar", "o");
	works_on(EV_SYSCALL_PIPE_X, NULL);
	expect("fd.typechar", "p");
	works_on(EV_SYSCALL_READ_E, NULL);
	expect("fd.name", MISSING);
}

static struct fd_draft connection(uint16_t bits)
{
	return (struct fd_draft){ .type = FD_IPV4, .l4 = L4_TCP, .bits = bits,
		.addr = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 2 }, .sport = 4000, .dport = 80 } };
}

static void own_address(uint8_t last)
{
	struct iface i = { .addr = { 10, 0, 0, last }, .netmask = { 255, 255, 255, 0 }, .name = STR("eth0") };
	ifaces_put(st.ifaces, &i);
}

static void ends_of_a_connection(void **state)
{
	struct fd_draft d = connection(FD_CLIENT | FD_CONNECTED);

	own_address(1);
	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.cip", "10.0.0.1");
	expect("fd.cport", "4000");
	expect("fd.sip", "10.0.0.2");
	expect("fd.sport", "80");
	expect("fd.lip", "10.0.0.1");
	expect("fd.lport", "4000");
	expect("fd.rip", "10.0.0.2");
	expect("fd.rproto", "80");
	expect("fd.l4proto", "tcp");
	expect("fd.sockfamily", "ip");
	expect("fd.connected", "true");
	expect("fd.is_server", "false");
	ifaces_clear(st.ifaces);
	own_address(2);
	expect("fd.lip", "10.0.0.2");
	expect("fd.rport", "4000");
	expect("fd.is_server", "true");
}

static void ends_are_not_told_before_the_role_is_known(void **state)
{
	struct fd_draft d = connection(0);

	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.cip", MISSING);
	expect("fd.sport", MISSING);
	expect("fd.sproto", MISSING);
	expect("fd.lproto", MISSING);
	expect("fd.l4proto", "<NA>");
	expect_items("fd.ip", "10.0.0.1|10.0.0.2");
	d.l4 = L4_RAW;
	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.l4proto", "raw");
}

static void a_listener_has_the_servers_end_only(void **state)
{
	struct fd_draft d = connection(FD_SERVER);

	d.type = FD_IPV4_LISTEN;
	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.sip", "10.0.0.2");
	expect("fd.sport", "80");
	expect("fd.cip", MISSING);
	expect("fd.lport", MISSING);
	expect("fd.is_server", "true");
	expect("fd.sproto", "");
	expect("fd.cproto", "");
	expect_items("fd.port", "80");
}

static void either_end(void **state)
{
	struct fd_draft d = connection(FD_SERVER), file = { .type = FD_FILE, .name = STR("/a") };

	d.type = FD_IPV6;
	d.addr.src[15] = 9;
	works_on(EV_SYSCALL_READ_X, &d);
	expect_items("fd.port", "4000|80");
	expect_items("fd.proto", "4000|80");
	expect_items("fd.net", "a00:1::9|a00:2::");
	expect_items("fd.sip.name", "");
	works_on(EV_SYSCALL_READ_X, &file);
	expect_items("fd.port", "");		/* present: "exists" holds */
	expect_items("fd.ip", "");
	expect_items("fd.sip.name", "");
	works_on(EV_SYSCALL_READ_X, NULL);
	evt.thread->last_fd = -1;
	expect_items("fd.port", MISSING);
	expect_items("fd.sip.name", MISSING);
}

static void device_numbers(void **state)
{
	struct fd_draft d = { .type = FD_FILE, .dev = 0x12345678, .ino = 1ull << 40 };

	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.dev", "12345678");
	expect("fd.dev.major", "1110");		/* 0x456 */
	expect("fd.dev.minor", "74616");	/* 0x12378 */
	expect("fd.ino", "1099511627776");
}

static void kinds_of_all_descriptors(void **state)
{
	struct fd_draft file = { .type = FD_FILE }, v2 = { .type = FD_FILE_V2 }, odd = { .type = FD_UNSUPPORTED };
	struct value v;

	works_on(EV_SYSCALL_READ_X, NULL);
	assert_false(ask_value("fd.types", false, &v));
	expect_items("fd.types", "");
	works_on(EV_SYSCALL_READ_X, &file);
	fd_publish(st.fds, &evt.thread->fds, 5, &v2);
	assert_true(ask_value("fd.types", false, &v));
	assert_int_equal(v.num.n, 1);
	expect_items("fd.types", "file");
	expect_items("fd.types[5]", "file");
	expect_items("fd.types[6]", MISSING);
	fd_publish(st.fds, &evt.thread->fds, 6, &odd);
	expect_items("fd.types[6]", "<NA>");
}

static void layers(void **state)
{
	struct fd_draft d = { .type = FD_FILE, .bits = FD_UPPER_LAYER };

	works_on(EV_SYSCALL_READ_X, &d);
	expect("fd.is_upper_layer", "true");
	expect("fd.is_lower_layer", "false");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths_in_parts),
		TEST(raw_names_lose_repeated_slashes),
		TEST(events_without_descriptors_have_no_fd_fields),
		TEST(a_failed_open_tells_its_path),
		TEST(without_a_record_other_exits_have_an_empty_name),
		TEST(ends_of_a_connection),
		TEST(ends_are_not_told_before_the_role_is_known),
		TEST(a_listener_has_the_servers_end_only),
		TEST(either_end),
		TEST(device_numbers),
		TEST(kinds_of_all_descriptors),
		TEST(layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
