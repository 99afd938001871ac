/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "ask.h"
#include "../c/engine/container_match.h"
#include "../c/engine/parse.h"
#include "../c/engine/ruleset.h"

#define HEX "f1aaeb3ab3674b43a0054e9624bd22c6e64c72e9f6a185867ecedcdd8a193795"
#define ID "f1aaeb3ab367"

/* ------------------------------------------------------------------ which container */

static void ids_lie_in_cgroup_paths(void **state)
{
	static const struct {
		const char *path, *id;		/* id NULL: the host's */
	} cases[] = {
		{ "/", NULL },
		{ "", NULL },
		{ "/docker/" HEX, ID },
		{ "/" HEX, ID },
		{ "systemd=/docker/" HEX, ID },
		{ "/kubepods/besteffort/pod12/" HEX, ID },
		{ "/system.slice/docker-" HEX ".scope", ID },
		{ "/machine.slice/libpod-" HEX ".scope", ID },
		{ "/machine.slice/libpod-" HEX ".scope/container", ID },
		{ "/libpod_parent/libpod-" HEX, ID },
		{ "/a/libpod-payload-" HEX, ID },
		{ "/machine.slice/libpod-conmon-" HEX ".scope", NULL },
		{ "/kubepods.slice/pod1.slice/crio-" HEX ".scope", ID },
		{ "/kubepods/pod1/crio-" HEX, ID },
		{ "/kubepods.slice/pod1.slice/cri-containerd-" HEX ".scope", ID },
		{ "/system.slice/pod1.slice:cri-containerd:" HEX, ID },
		{ "/user.slice/x/nerdctl-" HEX ".scope", ID },
		{ "/docker/F1AAEB3AB3674b43a0054e9624bd22c6e64c72e9f6a185867ecedcdd8a193795", "F1AAEB3AB367" },
		{ "/a/docker/" HEX "0", NULL },
		{ "/a/b/g1aaeb3ab3674b43a0054e9624bd22c6e64c72e9f6a185867ecedcdd8a193795", NULL },
		{ "/a/b/docker-" HEX ".scopes", NULL },
		{ "/default/redis", "redis" },
		{ "/my-ns.x_1/a-container-of-a-long-name", "a-container-" },
		{ "/libpod_parent/conmon", "conmon" },
		{ "/a--b/redis", NULL },
		{ "/-a/redis", NULL },
		{ "/a./redis", NULL },
		{ "//redis", NULL },
		{ "/default/", NULL },
		{ "/system.slice/docker.service", NULL },
		{ "/user.slice/user-1000.slice", NULL },
		{ "/user.slice/session-5.scope", NULL },
		{ "/init.scope", NULL },
		{ "/x/" HEX "0", NULL },
		{ "/a/lxc/web", "web" },
		{ "/a/lxc/web/sub/group", "web" },
		{ "/b/c/lxc.payload/db", "db" },
		{ "/lxc.payload.db-with-a-long-name/init.scope", "db-with-a-long-name" },
		{ "/a/b/lxc/", NULL },
		{ "/machine/a/guest.libvirt-lxc", "guest" },
		{ "/machine.slice/x/machine-lxc\\x2dguest.scope", "guest" },
		{ "/libvirt/lxc/guest/", "guest" },
		{ "/system.slice/runc-bpm-gorouter.scope", "gorouter" },
		{ "/a/b/bpm-gorouter", "gorouter" },
		{ "/a/b/bpm-go/router", NULL },
		{ "/a/b/bpm-", NULL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str id = STR("untouched");
		bool found = container_match_path(str_of(cases[i].path), &id);

		if (found != (cases[i].id != NULL))
			fail_msg("%s", cases[i].path);
		if (found)
			assert_str(id, cases[i].id);
	}
}

static void the_first_group_of_a_runtime_decides(void **state)
{
	struct str id, path;

	assert_true(container_match(STR("cpuset=/\0cpu=/system.slice\0name=systemd=/docker/" HEX "\0pids=/a"), &id, &path));
	assert_str(id, ID);
	assert_false(container_match(STR("cpuset=/\0cpu=/user.slice"), &id, &path));
	assert_false(container_match(STR("/docker/" HEX), &id, &path));	/* not of the form subsystem=path */
	assert_false(container_match(STR("\0\0\0"), &id, &path));
	assert_false(container_match(STR(""), &id, &path));
}

/* ------------------------------------------------------------------ threads and events */

static struct ruleset *rules;

static int open_world(void **state)
{
	rules = ruleset_new();
	ruleset_use_containers(rules);
	int rc = setup(state);
	evt.rules = rules;
	return rc;
}

static int close_world(void **state)
{
	ruleset_free(rules);
	return teardown(state);	/* drops every thread: whoever still held a container would be a leak */
}

static struct thread *add_contained(int64_t tid, const char *path)
{
	char cgroups[200];
	struct image_parts parts = { .comm = STR("sh"), .exe = STR("sh") };

	snprintf(cgroups, sizeof cgroups, "cpu=%s", path);
	parts.cgroups = str_of(cgroups);
	return add_thread(tid, tid, 1, &parts);
}

static void news(const char *json)
{
	event_is(EV_CONTAINER_JSON_2_E, NULL);
	evt.h.nparams = 1;
	evt.param[0] = (struct param){ (const uint8_t *)json, (uint32_t)strlen(json) + 1 };
	parse_event(&evt);
}

static void async_news(const char *name, const char *json)
{
	static const uint8_t plugin[4];

	event_is(EV_ASYNCEVENT_E, NULL);
	evt.h.nparams = 3;
	evt.param[0] = (struct param){ plugin, 4 };
	evt.param[1] = (struct param){ (const uint8_t *)name, (uint32_t)strlen(name) + 1 };
	evt.param[2] = (struct param){ (const uint8_t *)json, (uint32_t)strlen(json) };
	parse_event(&evt);
}

static void look_at(struct thread *t)
{
	event_is(EV_SYSCALL_CLOSE_X, t);
}

static void the_host_is_a_container_named_host(void **state)
{
	look_at(add_contained(5, "/user.slice"));
	expect("container.id", "host");
	expect("container.full_id", "host");
	expect("container.name", "host");
	expect("container.type", "host");
	expect("container.image", "");
	expect("container.ip", "");
	expect("container.privileged", "false");
	expect("container.labels", "");
	expect("container.label[a]", MISSING);
	expect("container.mounts", "");
	expect("container.mount[0]", MISSING);
	expect("container.start_ts", MISSING);
	expect("k8s.pod.name", MISSING);
	expect("k8s.pod.labels", "");
	expect("k8s.pod.ip", "");
}

static void of_an_unknown_thread_nothing_is_told(void **state)
{
	look_at(NULL);
	expect("container.id", MISSING);
	expect("container.name", MISSING);
}

static void without_metadata_there_is_the_id(void **state)
{
	look_at(add_contained(5, "/docker/" HEX));
	expect("container.id", ID);
	expect("container.full_id", MISSING);
	expect("container.name", MISSING);
	expect("container.privileged", MISSING);
	expect("container.labels", MISSING);
	expect("k8s.pod.ip", MISSING);
}

#define NGINX "{\"container\":{\"id\":\"" ID "\",\"full_id\":\"" HEX "\",\"name\":\"web\",\"type\":0," \
	"\"image\":\"nginx:1.25\",\"imageid\":\"9e74\",\"imagerepo\":\"docker.io/library/nginx\"," \
	"\"imagetag\":\"1.25\"," \
	"\"imagedigest\":\"sha256:96fb\",\"ip\":\"172.17.0.2\",\"privileged\":true,\"User\":\"101\",\"Mounts\":[" \
	"{\"Source\":\"/etc\",\"Destination\":\"/host/etc\",\"Mode\":\"ro\",\"RW\":false," \
	"\"Propagation\":\"rprivate\"}," \
	"{\"Source\":\"/var/run/docker.sock\",\"Destination\":\"/sock\",\"RW\":true}]," \
	"\"labels\":{\"z\":\"last\",\"io.kubernetes.pod.name\":\"shop\",\"io.kubernetes.pod.namespace\":\"prod\"," \
	"\"io.kubernetes.pod.uid\":\"u-1\",\"n\":7}," \
	"\"pod_sandbox_labels\":{\"app\":\"shop\",\"a\":\"b\"},\"env\":[\"A=1\"],\"created_time\":1700000000}}\n"

static void metadata_of_events(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);
	uint32_t epoch = st.table_epoch;

	news(NGINX);
	assert_int_not_equal(st.table_epoch, epoch);
	look_at(t);
	expect("container.id", ID);
	expect("container.full_id", HEX);
	expect("container.name", "web");
	expect("container.type", "docker");
	expect("container.image", "nginx:1.25");
	expect("container.image.id", "9e74");
	expect("container.image.repository", "docker.io/library/nginx");
	expect("container.image.tag", "1.25");
	expect("container.image.digest", "sha256:96fb");
	expect("container.ip", "172.17.0.2");
	expect("container.privileged", "true");
	expect("container.host_pid", "false");
	expect("container.label[z]", "last");
	expect("container.label[n]", MISSING);		/* not a text */
	expect("container.labels", "io.kubernetes.pod.name:shop, io.kubernetes.pod.namespace:prod, "
	       "io.kubernetes.pod.uid:u-1, z:last");
	expect("k8s.pod.name", "shop");
	expect("k8s.ns.name", "prod");
	expect("k8s.pod.uid", "u-1");
	expect("k8s.pod.id", "u-1");
	expect("k8s.pod.label[app]", "shop");
	expect("k8s.pod.labels", "a:b, app:shop");
	expect("container.cni.json", "");
	expect("k8s.pod.ip", "");			/* in no pod, as far as its sandbox goes */
	expect("container.healthcheck", MISSING);
}

static void mounts_by_number(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);

	news(NGINX);
	look_at(t);
	expect("container.mounts", "/etc:/host/etc:ro:false:rprivate,/var/run/docker.sock:/sock::true:");
	expect("container.mount[0]", "/etc:/host/etc:ro:false:rprivate");
	expect("container.mount.source[0]", "/etc");
	expect("container.mount.dest[1]", "/sock");
	expect("container.mount.mode[1]", "");
	expect("container.mount.rdwr[0]", "false");
	expect("container.mount.rdwr[1]", "true");
	expect("container.mount.propagation[0]", "rprivate");
	expect("container.mount[2]", MISSING);
	expect("container.mount[99999999999]", MISSING);
}

/* As a rule asks: the ruleset prepares the pattern. */
static const char *ask_rule(const char *field, const char *key)
{
	struct err err;
	struct value v;
	int id = ruleset_field(rules, field, (uint32_t)strlen(field), key, (uint32_t)strlen(key), &err);

	assert_true(id >= 0);
	return expr_read(&evt, expr_at(rules, id), &v) ? text_of(&v) : MISSING;
}

static void mounts_by_pattern(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);

	news(NGINX);
	look_at(t);
	assert_string_equal(ask_rule("container.mount.dest", "docker.sock"), "/sock");
	assert_string_equal(ask_rule("container.mount.dest", "^/etc$"), "/host/etc");
	assert_string_equal(ask_rule("container.mount.source", "^/host"), "/etc");
	assert_string_equal(ask_rule("container.mount", "^/(root|var/run)"), "/var/run/docker.sock:/sock::true:");
	assert_string_equal(ask_rule("container.mount.rdwr", "/proc*"), MISSING);
	assert_string_equal(ask_rule("container.mount.dest", "1"), "/sock");
	assert_string_equal(ask_rule("container.mount.dest", "*docker*"), "/sock");	/* no expression: a glob */
	assert_string_equal(ask_rule("container.mount.dest", "*docker"), MISSING);
}

static void events_with_news_speak_of_their_container(void **state)
{
	news(NGINX);
	expect("container.name", "web");
	news("{\"container\":{\"id\":\"other\",\"type\":11}}");
	expect("container.id", "other");
	expect("container.name", "");
	expect("container.type", "podman");
	news("{\"container\":{}}");
	expect("container.id", MISSING);
	async_news("container", NGINX);
	expect("container.id", ID);
}

static void the_latest_word_counts(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);

	news("{\"container\":{\"id\":\"" ID "\",\"name\":\"incomplete\"}}");
	look_at(t);
	expect("container.name", "incomplete");
	expect("container.type", "unknown");
	async_news("container", NGINX);
	look_at(t);
	expect("container.name", "web");
	assert_int_equal(containers_known(st.containers), 1);
	async_news("container_removed", "{\"container\":{\"id\":\"" ID "\"}}");
	look_at(t);
	expect("container.id", ID);
	expect("container.name", MISSING);
	assert_int_equal(containers_known(st.containers), 0);
	async_news("weather", "{\"container\":{\"id\":\"x\"}}");
	assert_int_equal(containers_known(st.containers), 0);
}

static void events_of_the_oldest_captures_have_no_wrapper(void **state)
{
	news("{\"id\":\"" ID "\",\"type\":0,\"name\":\"web\",\"image\":\"nginx\"}");
	look_at(add_contained(5, "/docker/" HEX));
	expect("container.name", "web");
}

static void pods_share_the_address_of_their_sandbox(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);

	news("{\"container\":{\"id\":\"" ID "\",\"ip\":\"10.0.0.1\",\"pod_sandbox_id\":\"0123456789abcdef\"}}");
	look_at(t);
	expect("k8s.pod.sandbox_id", "0123456789ab");
	expect("k8s.pod.full_sandbox_id", "0123456789abcdef");
	expect("k8s.pod.ip", "10.0.0.1");
	news("{\"container\":{\"id\":\"0123456789ab\",\"ip\":\"10.0.0.2\",\"cni_json\":\"{}\","
	     "\"is_pod_sandbox\":true}}");
	look_at(t);
	expect("k8s.pod.ip", "10.0.0.2");
	expect("k8s.pod.cni.json", "{}");
	expect("container.ip", "10.0.0.1");
}

static void age_is_that_of_the_pid_namespace(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);

	t->pidns_start_ts = 1000;
	look_at(t);
	evt.h.ts = 1500;
	expect("container.start_ts", "1000");
	expect("container.duration", "500");
	evt.h.ts = 999;
	expect("container.duration", MISSING);
}

static void a_process_goes_where_its_cgroups_go(void **state)
{
	struct image_parts parts = { .comm = STR("runc"), .cgroups = STR("cpu=/user.slice") };
	struct thread *t = add_thread(5, 5, 1, &parts);

	look_at(t);
	expect("container.id", "host");
	parts.cgroups = STR("cpu=/docker/" HEX);
	thread_set_image(st.threads, t, image_new(st.threads, &parts));
	expect("container.id", ID);
	struct thread *child = add_contained(6, "/docker/" HEX);
	assert_ptr_equal(child->image->container, t->image->container);
}

/* ------------------------------------------------------------------ what else containers change */

static void users_are_the_containers_own(void **state)
{
	struct user daemon = { .uid = 1, .name = STR("daemon") }, web = { .uid = 101, .name = STR("www") };
	struct thread *t = add_contained(5, "/docker/" HEX);

	users_put(st.users, STR(""), &daemon);
	users_put(st.users, STR(ID), &web);
	t->uid = 1;
	look_at(t);
	expect("user.name", "<NA>");
	t->uid = 101;
	expect("user.name", "www");
	t->uid = 0;
	expect("user.name", "root");

	/* rules that have nothing to do with containers see the host's */
	rules->containers = false;
	t->uid = 1;
	expect("user.name", "daemon");
}

static void rules_that_read_container_fields_turn_them_on(void **state)
{
	struct err err;

	rules->containers = false;
	assert_true(ruleset_field(rules, "user.name", 9, NULL, 0, &err) >= 0);
	assert_false(rules->containers);
	assert_true(ruleset_field(rules, "k8s.ns.name", 11, NULL, 0, &err) >= 0);
	assert_true(rules->containers);
}

static void names_of_descriptors_in_containers(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);
	struct fd_draft d = { .type = FD_FILE, .name = STR("/etc/passwd") };

	event_is(EV_SYSCALL_CLOSE_X, t);
	evt.fd = fd_publish(st.fds, &t->fds, 3, &d);
	expect("fd.containername", ID ":/etc/passwd");
	expect("fd.containerdirectory", ID ":/etc");
	rules->containers = false;
	expect("fd.containername", ":/etc/passwd");
}

static void a_containers_address_is_local_in_it(void **state)
{
	struct iface host = { .addr = { 10, 0, 0, 5 }, .netmask = { 255, 255, 255, 255 }, .name = STR("eth0") };
	struct fd_draft d = { .type = FD_IPV4, .l4 = L4_TCP, .bits = FD_CLIENT, .name = STR("x"),
			      .addr = { .src = { 172, 17, 0, 2 }, .dst = { 10, 0, 0, 5 }, .sport = 1, .dport = 2 } };
	struct thread *t = add_contained(5, "/docker/" HEX), *outside = add_contained(6, "/user.slice");

	ifaces_put(st.ifaces, &host);
	event_is(EV_SYSCALL_CLOSE_X, t);
	evt.fd = fd_publish(st.fds, &t->fds, 3, &d);
	expect("fd.lport", "2");		/* nothing known: only containers' addresses would be local */
	expect("fd.is_server", "false");
	news(NGINX);
	event_is(EV_SYSCALL_CLOSE_X, t);
	evt.fd = fd_publish(st.fds, &t->fds, 3, &d);
	expect("fd.lport", "1");
	expect("fd.is_server", "true");		/* the host's addresses count besides its own */
	event_is(EV_SYSCALL_CLOSE_X, outside);
	evt.fd = fd_publish(st.fds, &outside->fds, 3, &d);
	expect("fd.lport", "2");
}

/* ------------------------------------------------------------------ hostile input */

static void broken_metadata_is_counted_and_forgotten(void **state)
{
	static const char *const cases[] = {
		"", "{", "[]", "7", "null", "{}", "\"", "{\"container\":7}", "{\"container\":{\"id\":\"\"}}",
		"{\"container\":{\"id\":7}}", "{\"container\":{\"id\":\"\\ud800\"}}",
		"{\"container\":{\"id\":\"a\"}} trailing", "{\"id\":\"\xff\xfe\"}",
	};
	uint32_t n = sizeof cases / sizeof cases[0];

	for (uint32_t i = 0; i < n; i++) {
		news(cases[i]);
		expect("container.id", MISSING);
	}
	assert_int_equal(containers_known(st.containers), 0);
	assert_int_equal(containers_bad(st.containers), n);
	event_is(EV_CONTAINER_JSON_2_E, NULL);
	parse_event(&evt);		/* no parameter at all */
}

static void odd_parts_are_left_out(void **state)
{
	news("{\"container\":{\"id\":\"x\",\"name\":null,\"type\":\"docker\",\"privileged\":1,\"labels\":[1],"
	     "\"ip\":7,"
	     "\"Mounts\":[7,{},{\"Source\":{},\"RW\":\"true\"}],"
	     "\"pod_sandbox_labels\":{\"\":\"\"}}}");
	expect("container.name", "");
	expect("container.type", "unknown");
	expect("container.privileged", "false");
	expect("container.labels", "");
	expect("container.mounts", ":::false:,:::false:");
	expect("k8s.pod.labels", ":");
	expect("container.ip", "");
	news("{\"container\":{\"full_id\":\"" HEX "\"}}");
	expect("container.id", ID);
	news("{\"container\":{\"id\":\"y\",\"id\":\"z\",\"type\":-1}}");
	expect("container.id", "z");
}

static void deep_and_wide_metadata_is_refused(void **state)
{
	enum { N = CONTAINER_MAX_JSON + 2 };
	char *json = calloc(1, N + 64);

	strcpy(json, "{\"id\":\"x\",\"a\":");
	memset(json + strlen(json), '[', CONTAINER_MAX_DEPTH);
	memset(json + strlen(json), ']', CONTAINER_MAX_DEPTH);
	strcat(json, "}");
	news(json);
	expect("container.id", MISSING);

	strcpy(json, "{\"id\":\"x\",\"a\":[");
	memset(json + strlen(json), '0', 1);
	char *at = json + strlen(json);
	for (uint32_t i = 0; i < CONTAINER_MAX_VALUES; i++, at += 2)
		memcpy(at, ",0", 2);
	strcpy(at, "]}");
	news(json);
	expect("container.id", MISSING);

	strcpy(json, "{\"id\":\"x\",\"a\":\"");
	memset(json + strlen(json), '[', N - strlen(json));	/* brackets in a text nest nothing */
	strcpy(json + N - 2000, "\"}");
	news(json);
	expect("container.id", "x");
	memset(json + N - 2000, '[', 2000);
	strcpy(json + N, "\"}");
	news(json);
	expect("container.id", MISSING);
	free(json);
}

static void a_full_table_refuses_and_counts(void **state)
{
	struct intern *strings = intern_new(10000);
	struct containers *t = containers_new(strings, 5000);
	char json[64];
	uint32_t n = 0;

	for (; !containers_overflow(t) && n < 100; n++)
		containers_learn(t, (struct str){ json, (uint32_t)sprintf(json, "{\"id\":\"c%u\"}", n) });
	assert_in_range(n, 3, 30);
	assert_int_equal(containers_known(t), n - 1);
	containers_learn(t, STR("{\"id\":\"c1\"}"));	/* in place of what there was */
	assert_int_equal(containers_overflow(t), 1);
	containers_forget(t, STR("{\"id\":\"c0\"}"));
	containers_learn(t, STR("{\"id\":\"fits\"}"));
	assert_non_null(containers_find(t, STR("fits")));
	assert_null(containers_find(t, STR("c0")));
	containers_clear(t);
	assert_int_equal(containers_known(t), 0);
	assert_null(containers_find(t, STR("fits")));
	containers_free(t);
	intern_free(strings);
}

static void another_section_knows_nothing(void **state)
{
	struct thread *t = add_contained(5, "/docker/" HEX);

	news(NGINX);
	look_at(t);
	state_reset(&st);
	look_at(add_contained(5, "/docker/" HEX));
	expect("container.id", ID);
	expect("container.name", MISSING);
	assert_int_equal(containers_known(st.containers), 0);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

static void metadata_is_written_as_it_was_read(void **state)
{
	static const char json[] =
		"{\"container\":{\"type\":11,\"id\":\"abc\",\"full_id\":\"abcdef\",\"name\":\"n \\\"q\\\" \\u00e9\",\"privileged\":true,"
		"\"imagerepo\":\"a/b\",\"imagetag\":\"1\",\"ip\":\"10.0.0.1\",\"pod_sandbox_id\":\"p\",\"labels\":{\"z\":\"1\",\"a\":\"2\"},"
		"\"pod_sandbox_labels\":{\"k\":\"v\"},\"Mounts\":[{\"Source\":\"/s\",\"Destination\":\"/d\",\"Mode\":\"ro\",\"RW\":false,"
		"\"Propagation\":\"rslave\"},{\"Source\":\"/t\",\"RW\":true}]}}";
	struct container_info *a = container_info_parse(STR(json), NULL), *b;
	char *text, *again;

	assert_non_null(a);
	assert_non_null(text = container_info_json(a));
	assert_non_null(b = container_info_parse(str_of(text), NULL));
	assert_str(b->type, "podman");
	assert_str(b->name, "n \"q\" \xc3\xa9");
	assert_str(b->labels.text, "a:2, z:1");
	assert_str(b->pod_labels.text, "k:v");
	assert_str(b->mounts_text, "/s:/d:ro:false:rslave,/t:::true:");
	assert_str(b->sandbox_id, "p");
	assert_true(b->privileged && b->has_ip4 && !b->host_pid);
	assert_string_equal(again = container_info_json(b), text);
	free(again);
	free(text);
	container_info_free(a);
	container_info_free(b);
}

static void containers_with_metadata_are_walked(void **state)
{
	struct intern *strings = intern_new(1 << 20);
	struct containers *t = containers_new(strings, 1 << 20);
	struct containers_pos pos = { 0 };
	uint32_t n = 0;
	char json[64];

	for (int i = 0; i < 100; i++) {
		snprintf(json, sizeof json, "{\"id\":\"c%d\"}", i);
		containers_learn(t, str_of(json));
	}
	containers_forget(t, STR("{\"id\":\"c7\"}"));
	while (containers_next(t, &pos))
		n++;
	assert_int_equal(n, 99);
	containers_free(t);
	intern_free(strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_is_written_as_it_was_read),
		cmocka_unit_test(containers_with_metadata_are_walked),
		cmocka_unit_test(ids_lie_in_cgroup_paths),
		cmocka_unit_test(the_first_group_of_a_runtime_decides),
		in_world(the_host_is_a_container_named_host),
		in_world(of_an_unknown_thread_nothing_is_told),
		in_world(without_metadata_there_is_the_id),
		in_world(metadata_of_events),
		in_world(mounts_by_number),
		in_world(mounts_by_pattern),
		in_world(events_with_news_speak_of_their_container),
		in_world(the_latest_word_counts),
		in_world(events_of_the_oldest_captures_have_no_wrapper),
		in_world(pods_share_the_address_of_their_sandbox),
		in_world(age_is_that_of_the_pid_namespace),
		in_world(a_process_goes_where_its_cgroups_go),
		in_world(users_are_the_containers_own),
		in_world(rules_that_read_container_fields_turn_them_on),
		in_world(names_of_descriptors_in_containers),
		in_world(a_containers_address_is_local_in_it),
		in_world(broken_metadata_is_counted_and_forgotten),
		in_world(odd_parts_are_left_out),
		in_world(deep_and_wide_metadata_is_refused),
		cmocka_unit_test(a_full_table_refuses_and_counts),
		in_world(another_section_knows_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
