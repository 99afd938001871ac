/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of containers from a tree that runtimes could have written, from an API that could be docker's, and from
 * files and answers that are something else. Real runtimes: test/containers. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "../c/engine/bolt.h"
#include "../c/engine/load.h"
#include "../c/engine/runtime.h"
#include "../c/engine/runtime_source.h"

#define ID "9d1eb40dbe4dd12adbda7fdd1736511f946589f9c61d0a20af71685873c20d71"
#define POD "815394ddd9231df7c41a8f5bd5f8c7b22bd91fae3a89bf2273171d9b0f704078"

static char tree[64];
static struct runtime_options options;

static void put(const char *name, const char *text, size_t len)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof path, "%s/%s", tree, name);
	for (char *slash = path + strlen(tree) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void drop(const char *name)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", tree, name);
	assert_int_equal(unlink(path), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	strcpy(tree, "/tmp/runtime-XXXXXX");
	runtime_defaults(&options);
	return mkdtemp(tree) ? 0 : -1;
}

static int teardown(void **state)
{
	return nftw(tree, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ------------------------------------------------------------------ asking */

static struct container_info *info;

static void look_up(const char *id, const char *hint)
{
	struct quest q = { .options = &options, .root = str_of(tree), .api = true };
	char *json;

	container_info_free(info);
	info = NULL;
	strcpy(q.id, id);
	if (hint)
		strcpy(q.hints[q.nhints++], hint);
	if ((json = runtime_lookup(&q))) {
		struct err err = { 0 };

		info = container_info_parse(str_of(json), &err);
		if (!info)
			fail_msg("%s: %s", err.text, json);
	}
	free(json);
}

static void known(const char *id, const char *hint)
{
	look_up(id, hint);
	if (!info)
		fail_msg("nothing is known of %s", id);
	assert_str(info->full_id, id);
}

static void label_is(const struct container_labels *labels, const char *key, const char *value)
{
	const struct str *found = container_label_find(labels, str_of(key));

	assert_non_null(found);
	assert_str(*found, value);
}

/* ------------------------------------------------------------------ files */

static void docker_is_read_from_its_files(void **state)
{
	put_text("var/lib/docker/containers/" ID "/config.v2.json",
		 "{\"ID\":\"" ID "\",\"Name\":\"/web\",\"Image\":\"sha256:abc\",\"Config\":{\"User\":\"app\",\"Image\":\"reg:5000/a/web:2\","
		 "\"Labels\":{\"tier\":\"front\",\"long\":\"0123456789012345678901234567890123456789012345678901234567890123456789"
		 "0123456789012345678901234567890\"}},\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"}}},"
		 "\"MountPoints\":{\"/a\":{\"Source\":\"/etc\",\"Destination\":\"/a\",\"RW\":false,\"Relabel\":\"ro\",\"Propagation\":\"rprivate\"},"
		 "\"/b\":{\"Source\":\"\",\"Destination\":\"/b\",\"RW\":true,\"Name\":\"vol\",\"Driver\":\"local\",\"Relabel\":\"z\"}}}");
	put_text("var/lib/docker/containers/" ID "/hostconfig.json",
		 "{\"Privileged\":true,\"NetworkMode\":\"host\",\"PidMode\":\"\",\"IpcMode\":\"host\"}");
	put_text("var/lib/docker/image/overlay2/repositories.json",
		 "{\"Repositories\":{\"reg:5000/a/web\":{\"reg:5000/a/web:1\":\"sha256:abc\",\"reg:5000/a/web:2\":\"sha256:abc\","
		 "\"reg:5000/a/web@sha256:d1\":\"sha256:abc\"},\"other\":{\"other:3\":\"sha256:fff\"}}}");
	known(ID, NULL);
	assert_str(info->type, "docker");
	assert_str(info->name, "web");
	assert_str(info->user, "app");
	assert_str(info->image, "reg:5000/a/web:2");
	assert_str(info->image_id, "abc");
	assert_str(info->image_repo, "reg:5000/a/web");
	assert_str(info->image_tag, "2");
	assert_str(info->image_digest, "sha256:d1");
	assert_str(info->ip, "172.17.0.2");
	assert_true(info->privileged && info->host_network && info->host_ipc && !info->host_pid);
	assert_int_equal(info->labels.n, 1);	/* the other one is too long */
	label_is(&info->labels, "tier", "front");
	assert_str(info->mounts_text, "/etc:/a:ro:false:rprivate,/var/lib/docker/volumes/vol/_data:/b:z:true:");

	options.engines = RUNTIME_USE_ALL & ~RUNTIME_USE_DOCKER;
	look_up(ID, NULL);
	assert_null(info);
	runtime_defaults(&options);
	/* somewhere else, which the bundle tells */
	drop("var/lib/docker/containers/" ID "/hostconfig.json");
	put_text("run/x/" ID "/config.json", "{\"mounts\":[{\"source\":\"/var/lib/docker/containers/other/hosts\"}]}");
	known(ID, "/run/x/" ID);
	assert_str(info->name, "web");
	assert_false(info->privileged);
	drop("var/lib/docker/containers/" ID "/config.v2.json");
}

static void cri_o_is_read_from_annotations(void **state)
{
	put_text("run/containers/storage/overlay-containers/" ID "/userdata/config.json",
		 "{\"process\":{\"user\":{\"uid\":33}},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"}]},\"annotations\":{"
		 "\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.SandboxID\":\"" POD "\","
		 "\"io.kubernetes.cri-o.Namespace\":\"shop\",\"io.kubernetes.cri-o.ImageName\":\"quay.io/a/b:7\","
		 "\"io.kubernetes.cri-o.ImageRef\":\"quay.io/a/b@sha256:77\",\"io.kubernetes.cri-o.Metadata\":\"{\\\"name\\\":\\\"front\\\"}\","
		 "\"io.kubernetes.cri-o.Labels\":\"{\\\"io.kubernetes.pod.name\\\":\\\"web-0\\\"}\",\"io.kubernetes.cri-o.IP.0\":\"10.1.2.3\","
		 "\"io.kubernetes.cri-o.Volumes\":\"[{\\\"container_path\\\":\\\"/c\\\",\\\"host_path\\\":\\\"/h\\\",\\\"readonly\\\":true,\\\"propagation\\\":1}]\"}}");
	known(ID, NULL);
	assert_str(info->type, "cri-o");
	assert_str(info->name, "front");
	assert_str(info->user, "33");
	assert_str(info->image_repo, "quay.io/a/b");
	assert_str(info->image_tag, "7");
	assert_str(info->image_digest, "sha256:77");
	assert_str(info->sandbox_id, POD);
	assert_str(info->ip, "10.1.2.3");
	assert_str(info->mounts_text, "/h:/c::false:rslave");
	assert_true(info->host_ipc && !info->host_pid && !info->host_network && !info->is_sandbox);
	label_is(&info->labels, "io.kubernetes.pod.name", "web-0");
	label_is(&info->labels, "io.kubernetes.pod.namespace", "shop");
	drop("run/containers/storage/overlay-containers/" ID "/userdata/config.json");
}

static void podman_is_read_without_its_database(void **state)
{
	put_text("s/overlay-containers/" ID "/userdata/config.json",
		 "{\"annotations\":{\"io.container.manager\":\"libpod\",\"io.podman.annotations.privileged\":\"TRUE\"},\"process\":{\"user\":{\"uid\":5}},"
		 "\"mounts\":[{\"destination\":\"/proc\",\"source\":\"proc\"},{\"destination\":\"/d\",\"source\":\"/s\",\"options\":[\"rbind\",\"rw\",\"rslave\"]}]}");
	put_text("s/overlay-containers/containers.json",
		 "[{\"id\":\"x\"},{\"id\":\"" ID "\",\"names\":[\"pod\"],\"image\":\"i1\",\"metadata\":\"{\\\"image-name\\\":\\\"localhost/p:2.0\\\"}\"}]");
	put_text("s/overlay-images/images.json", "[{\"id\":\"i1\",\"digest\":\"sha256:e1\"}]");
	known(ID, "/s/overlay-containers/" ID "/userdata");
	assert_str(info->type, "podman");
	assert_str(info->name, "pod");
	assert_str(info->user, "5");
	assert_str(info->image_repo, "localhost/p");
	assert_str(info->image_tag, "2.0");
	assert_str(info->image_digest, "sha256:e1");
	assert_true(info->privileged);
	assert_str(info->mounts_text, "/s:/d::true:rslave");
}

static void a_bundle_of_another_container_is_not_taken(void **state)
{
	put_text("b/config.json", "{\"linux\":{\"cgroupsPath\":\"/x/" POD "\"}}");
	look_up(ID, "/b");
	assert_null(info);
	known(POD, "/b");
	assert_str(info->name, POD);
	assert_str(info->type, "unknown");
}

static void privileged_is_told_by_what_is_not_hidden(void **state)
{
#define BUNDLE(linux_part, mounts) "{\"process\":{},\"linux\":{\"cgroupsPath\":\"" ID "\"" linux_part "},\"mounts\":[" mounts "]}"
	put_text("b/config.json", BUNDLE("", "{\"type\":\"sysfs\",\"options\":[\"rw\"]}"));
	known(ID, "/b");
	assert_true(info->privileged);
	put_text("b/config.json", BUNDLE("", "{\"type\":\"sysfs\",\"options\":[\"ro\"]}"));
	known(ID, "/b");
	assert_false(info->privileged);
	put_text("b/config.json", BUNDLE(",\"maskedPaths\":[\"/proc/kcore\"]", ""));
	known(ID, "/b");
	assert_false(info->privileged);
	put_text("b/config.json", BUNDLE(",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\"}", ""));
	known(ID, "/b");
	assert_false(info->privileged);
}

/* Nothing of it may crash, hang, or be believed. */
static void files_that_are_something_else(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "null", "17", "\"x\"", "{\"linux\":[]}", "{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":5}}",
		"{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"x\",\"io.kubernetes.cri-o.Labels\":\"{{{\"}}",
		"{\"mounts\":{\"a\":1},\"process\":7,\"linux\":{\"namespaces\":[1,2,{\"type\":3}]}}",
		"{\"mounts\":[{\"options\":[1,null]},5],\"annotations\":{\"io.container.manager\":\"libpod\"}}",
	};
	static char deep[400000];
	char path[256];

	for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		put_text("w/" ID "/config.json", texts[i]);
		look_up(ID, "/w/" ID);
	}
	memset(deep, '[', sizeof deep);
	put("w/" ID "/config.json", deep, sizeof deep);
	look_up(ID, "/w/" ID);
	assert_null(info);
	snprintf(path, sizeof path, "%s/w/" ID "/config.json", tree);
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	alarm(10);
	look_up(ID, "/w/" ID);
	alarm(0);
	assert_null(info);
	unlink(path);
	assert_int_equal(mkdir(path, 0755), 0);
	look_up(ID, "/w/" ID);
	assert_null(info);
	rmdir(path);
	put_text("w/" ID "/config.json", "{}");
	assert_int_equal(truncate(path, (off_t)RUNTIME_MAX_FILE + 1), 0);
	look_up(ID, "/w/" ID);
	assert_null(info);
	drop("w/" ID "/config.json");
	look_up("", "/w");
	look_up("..", "/w");
	assert_null(info);
}

/* ------------------------------------------------------------------ containerd's database */

static void w16(char *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}

static void w32(char *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

static void w64(char *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

enum { PAGE = 4096 };

struct item {
	const char *key, *value;
	uint32_t len;
};

/* A leaf page of these items at p; returns its length. Values may be buckets made before. */
static uint32_t leaf_page(char *p, uint64_t id, const struct item *items, uint16_t n, const bool *bucket)
{
	uint32_t at = 16 + n * 16u;

	w64(p, id);
	w16(p + 8, 2);
	w16(p + 10, n);
	w32(p + 12, 0);
	for (uint16_t i = 0; i < n; i++) {
		char *e = p + 16 + i * 16;
		uint32_t klen = (uint32_t)strlen(items[i].key);

		w32(e, bucket[i]);
		w32(e + 4, at - (uint32_t)(e - p));
		w32(e + 8, klen);
		w32(e + 12, items[i].len);
		memcpy(p + at, items[i].key, klen);
		memcpy(p + at + klen, items[i].value, items[i].len);
		at += klen + items[i].len;
	}
	return at;
}

/* A bucket inside its parent: head and page. */
static uint32_t inlined(char *p, const struct item *items, uint16_t n, const bool *bucket)
{
	memset(p, 0, 16);
	return 16 + leaf_page(p + 16, 0, items, n, bucket);
}

static uint64_t fnv(const char *p, uint32_t n)
{
	uint64_t h = 14695981039346656037u;

	while (n--)
		h = (h ^ (uint8_t)*p++) * 1099511628211u;
	return h;
}

static void meta(char *page, uint64_t id, uint64_t txid, uint64_t root)
{
	char *m = page + 16;

	w64(page, id);
	w16(page + 8, 4);
	w32(m, 0xED0CDAED);
	w32(m + 4, 2);
	w32(m + 8, PAGE);
	w64(m + 16, root);
	w64(m + 48, txid);
	w64(m + 56, fnv(m, 56));
}

/* v1 / default / containers / web / { image, labels / tier }, images / reg/a:1 / target / digest */
static uint32_t database(char out[4 * PAGE])
{
	static const bool plain[] = { false, false }, both[] = { true, true }, second[] = { false, true };
	char labels[512], web[1024], containers[1536], target[512], image[1024], images[1536], def[3000], v1[3500];
	uint32_t n;

	n = inlined(labels, (struct item[]){ { "tier", "mid", 3 } }, 1, plain);
	n = inlined(web, (struct item[]){ { "image", "reg/a:1", 7 }, { "labels", labels, n } }, 2, second);
	n = inlined(containers, (struct item[]){ { "web", web, n } }, 1, both);
	uint32_t containers_len = n;
	n = inlined(target, (struct item[]){ { "digest", "sha256:d2", 9 } }, 1, plain);
	n = inlined(image, (struct item[]){ { "target", target, n } }, 1, both);
	n = inlined(images, (struct item[]){ { "reg/a:1", image, n } }, 1, both);
	n = inlined(def, (struct item[]){ { "containers", containers, containers_len }, { "images", images, n } }, 2, both);
	n = inlined(v1, (struct item[]){ { "default", def, n } }, 1, both);
	memset(out, 0, 4 * PAGE);
	meta(out, 0, 6, 2);		/* an older state, whose root is nothing */
	meta(out + PAGE, 1, 7, 3);
	leaf_page(out + 3 * PAGE, 3, (struct item[]){ { "v1", v1, n } }, 1, both);
	return 4 * PAGE;
}

static void containerd_is_read_from_its_database(void **state)
{
	char db[4 * PAGE], work[256];
	uint32_t n = database(db);

	put("cd/io.containerd.metadata.v1.bolt/meta.db", db, n);
	put_text("cdr/io.containerd.runtime.v2.task/default/web/config.json", "{\"process\":{\"user\":{\"uid\":0}}}");
	snprintf(work, sizeof work, "%s/cdr/io.containerd.runtime.v2.task/default/web/work", tree);
	assert_int_equal(symlink("/cd/io.containerd.runtime.v2.task/default/web", work), 0);
	known("web", "/cdr/io.containerd.runtime.v2.task/default/web");
	assert_str(info->type, "containerd");
	assert_str(info->name, "web");
	assert_str(info->image_repo, "reg/a");
	assert_str(info->image_tag, "1");
	assert_str(info->image_digest, "sha256:d2");
	label_is(&info->labels, "tier", "mid");

	/* whatever the bytes are, the bundle stays readable */
	for (uint32_t seed = 1, round = 0; round < 1500; round++) {
		char bad[4 * PAGE];

		memcpy(bad, db, sizeof bad);
		for (int i = 0; i < 4; i++) {
			seed = seed * 1664525 + 1013904223;
			bad[3 * PAGE + seed / 3 % 700] = (char)(seed >> 24);
		}
		if (round % 100 == 99)
			n = seed % sizeof bad;
		put("cd/io.containerd.metadata.v1.bolt/meta.db", bad, n);
		n = sizeof bad;
		known("web", "/cdr/io.containerd.runtime.v2.task/default/web");
	}
}

static bool count(void *ctx, struct str key, struct str value)
{
	++*(uint32_t *)ctx;
	return true;
}

/* A branch that leads to itself, through all levels. */
static void a_tree_that_bites_its_tail_ends(void **state)
{
	char db[4 * PAGE], path[256];
	struct bolt b;
	struct bolt_bucket at;
	uint32_t n = 0;

	database(db);
	w16(db + 3 * PAGE + 8, 1);
	w16(db + 3 * PAGE + 10, 2);
	for (int i = 0; i < 2; i++) {
		w32(db + 3 * PAGE + 16 + i * 16, 64);
		w32(db + 3 * PAGE + 20 + i * 16, 1);
		w64(db + 3 * PAGE + 24 + i * 16, 3);
	}
	put("loop.db", db, sizeof db);
	snprintf(path, sizeof path, "%s/loop.db", tree);
	assert_int_equal(bolt_open(&b, path), 0);
	assert_true(bolt_unchanged(&b));
	at = bolt_root(&b);
	bolt_each(&b, &at, count, &n);
	assert_int_equal(n, 0);
	assert_false(bolt_enter(&b, &at, STR("v1")));
	bolt_close(&b);
	assert_true(bolt_open(&b, "/dev/null") < 0);
	bolt_close(&b);
	assert_true(bolt_open(&b, "/nowhere") < 0);
	bolt_close(&b);
}

/* ------------------------------------------------------------------ the API */

static const char *api_answers[4];
static int api_socket;
static bool api_silent;

static void *api_serve(void *arg)
{
	for (int i = 0; i < 4 && api_answers[i]; i++) {
		char request[1024];
		int fd = accept(api_socket, NULL, NULL);

		if (fd < 0)
			break;
		if (read(fd, request, sizeof request) < 0)
			break;
		if (api_silent)
			sleep(3);
		else if (write(fd, api_answers[i], strlen(api_answers[i])) < 0)
			break;
		close(fd);
	}
	return NULL;
}

static void with_api(const char *first, const char *second, bool silent)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	pthread_t thread;

	api_answers[0] = first;
	api_answers[1] = second;
	api_answers[2] = NULL;
	api_silent = silent;
	snprintf(a.sun_path, sizeof a.sun_path, "%s/var/run/docker.sock", tree);
	put_text("var/run/docker.sock", "");
	unlink(a.sun_path);
	api_socket = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(api_socket, (void *)&a, sizeof a), 0);
	assert_int_equal(listen(api_socket, 4), 0);
	pthread_create(&thread, NULL, api_serve, NULL);
	look_up(ID, NULL);
	shutdown(api_socket, SHUT_RDWR);
	close(api_socket);
	pthread_join(thread, NULL);
	unlink(a.sun_path);
}

#define OK "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"

static void the_api_is_asked_where_files_are_silent(void **state)
{
	time_t since;

	with_api(OK "{\"Id\":\"" ID "\",\"Name\":\"/api\",\"Image\":\"sha256:abc\",\"Config\":{\"Image\":\"a/web\",\"User\":\"u\"},"
		 "\"HostConfig\":{\"PidMode\":\"host\"},\"Mounts\":[{\"Source\":\"/s\",\"Destination\":\"/d\",\"Mode\":\"m\",\"RW\":true}]}",
		 OK "{\"RepoTags\":[\"a/web:latest\"],\"RepoDigests\":[\"a/web@sha256:d3\"]}", false);
	assert_non_null(info);
	assert_str(info->name, "api");
	assert_str(info->image_repo, "a/web");
	assert_str(info->image_tag, "latest");
	assert_str(info->image_digest, "sha256:d3");
	assert_true(info->host_pid);
	assert_str(info->mounts_text, "/s:/d:m:true:");

	with_api(OK "{\"Id\":\"" POD "\"}", NULL, false);	/* another container's */
	assert_null(info);
	with_api("HTTP/1.0 404 Not Found\r\n\r\n{\"Id\":\"" ID "\"}", NULL, false);
	assert_null(info);
	with_api("HTTP/1.0 200 OK\r\n", NULL, false);
	assert_null(info);
	with_api(OK "{", NULL, false);
	assert_null(info);
	since = time(NULL);
	with_api(OK, NULL, true);			/* says nothing: the deadline ends it */
	assert_null(info);
	assert_in_range(time(NULL) - since, 1, 5);
}

/* ------------------------------------------------------------------ with the tables */

static struct state st;
static uint32_t learnt;

static void on_learnt(void *ctx, struct str json)
{
	learnt++;
	assert_non_null(strstr(json.p, "\"container\""));
}

static struct thread *process(int64_t tid, int64_t ptid, const char *cgroups, size_t len, const char *cwd, const char *args)
{
	struct scap_sink sink = load_sink(&st);
	struct scap_proc p = {
		.tid = tid, .pid = tid, .ptid = ptid, .vtid = tid, .vpid = tid, .comm = STR("x"), .exe = STR("x"),
		.exepath = STR("/x"), .args = str_of(args), .cwd = str_of(cwd), .env = STR(""), .root = STR("/"),
		.cgroups = { cgroups, (uint32_t)len },
	};

	assert_int_equal(sink.proc(sink.ctx, &p), 0);
	return thread_find(st.threads, tid);
}

static void a_container_is_known_once_it_is_met(void **state)
{
	static const char groups[] = "cpu=/docker/" ID;
	struct runtime_counts counts;
	struct runtime *r;
	struct thread *t;

	memset(&st, 0, sizeof st);
	assert_int_equal(state_init(&st, NULL), 0);
	st.host.root_len = (uint32_t)strlen(tree);
	memcpy(st.host.root, tree, strlen(tree));
	put_text("deep/bundle/config.json", "{\"linux\":{\"cgroupsPath\":\"/docker/" ID "\"}}");
	containers_watch(st.containers, true);
	assert_non_null(r = runtime_new(&st.host, NULL, NULL));
	process(1, 0, "cpu=/", 5, "/", "");
	process(50, 1, "cpu=/", 5, "/deep", "--bundle=bundle");
	t = process(60, 50, groups, sizeof groups, "/", "");
	assert_true(containers_have_fresh(st.containers));
	runtime_meet(r, &st, t);
	assert_false(containers_have_fresh(st.containers));
	for (int i = 0; i < 200 && !learnt; i++) {
		runtime_poll(r, &st, on_learnt, NULL);
		usleep(5000);
	}
	runtime_counts(r, &counts);
	assert_int_equal(counts.asked, 1);
	assert_int_equal(learnt, counts.answered);
	assert_int_equal(learnt, 1);
	assert_non_null(container_info(t->image->container));
	assert_str(container_info(t->image->container)->name, ID);

	/* no process is in it any more: it is forgotten, and asked for again when one is */
	thread_remove(st.threads, 60);
	containers_forget_unused(st.containers);
	assert_int_equal(containers_known(st.containers), 0);
	t = process(61, 50, groups, sizeof groups, "/", "");
	assert_true(containers_have_fresh(st.containers));
	runtime_meet(r, &st, t);
	runtime_free(r, &st);
	state_free(&st);
}

/* The processes of a container do not say where its bundle is. */
static void a_container_does_not_tell_about_itself(void **state)
{
	static const char groups[] = "cpu=/docker/" ID;
	struct runtime *r;
	struct thread *t;

	memset(&st, 0, sizeof st);
	assert_int_equal(state_init(&st, NULL), 0);
	st.host.root_len = (uint32_t)strlen(tree);
	memcpy(st.host.root, tree, strlen(tree));
	containers_watch(st.containers, true);
	assert_non_null(r = runtime_new(&st.host, NULL, NULL));
	process(70, 0, groups, sizeof groups, "/deep/bundle", "");
	t = process(71, 70, groups, sizeof groups, "/deep/bundle", "--bundle=/deep/bundle");
	runtime_meet(r, &st, t);
	runtime_poll(r, &st, NULL, NULL);
	assert_null(container_info(t->image->container));
	runtime_free(r, &st);
	state_free(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(docker_is_read_from_its_files),
		cmocka_unit_test(cri_o_is_read_from_annotations),
		cmocka_unit_test(podman_is_read_without_its_database),
		cmocka_unit_test(a_bundle_of_another_container_is_not_taken),
		cmocka_unit_test(privileged_is_told_by_what_is_not_hidden),
		cmocka_unit_test(files_that_are_something_else),
		cmocka_unit_test(containerd_is_read_from_its_database),
		cmocka_unit_test(a_tree_that_bites_its_tail_ends),
		cmocka_unit_test(the_api_is_asked_where_files_are_silent),
		cmocka_unit_test(a_container_is_known_once_it_is_met),
		cmocka_unit_test(a_container_does_not_tell_about_itself),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);

	container_info_free(info);
	return failed;
}
