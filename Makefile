# SPDX-License-Identifier: Apache-2.0
# falco: `make demo` shows it at work, `make check` proves it. Everything is built below build/.
#   V=1    print the commands            SAN=1   with ASan and UBSan, below build/san/

B      := build$(if $(SAN),/san)
Q      := $(if $(V),,@)
say     = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

PREFIX  ?= /usr
SYSCONF ?= /etc
DESTDIR ?=

PKGS     := luajit yaml-0.1 libisal jansson libbpf libcurl zlib openssl
PKGS     += libedit
PKGS     += hiredis rdkafka
PKGS     += libmicrohttpd
CC       ?= gcc
CXX      ?= g++
CLANG    ?= clang
LUAJIT   ?= luajit
VERSION  := $(shell cat VERSION)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SANFLAGS := $(if $(SAN),$(SANITIZE))
WARN     := -Wall -Wextra -Wshadow -Wpointer-arith -Wno-unused-parameter
CFLAGS   ?= $(if $(SAN),-O2,-O3) -g
ALLFLAGS  = $(CFLAGS) $(WARN) $(SANFLAGS) -fPIC -MMD -MP -D_GNU_SOURCE \
	    $(shell pkg-config --cflags $(PKGS))
CSTD     := -std=gnu2x -Wstrict-prototypes -Wmissing-prototypes
CXXSTD   := -std=c++17
LIBS      = $(shell pkg-config --libs $(PKGS)) -l:liblua5.1-lpeg.a $(shell pkg-config --libs re2) -lpthread -lm -ldl

ENGINE_C  := $(wildcard c/*.c c/driver/*.c c/engine/*.c c/output/*.c c/term/*.c)
ENGINE_C  := $(filter-out c/main.c c/lua.c c/driver/kmod.c %.bpf.c,$(ENGINE_C))
ENGINE_CC := $(wildcard c/engine/*.cc)
ENGINE_O  := $(ENGINE_C:%.c=$(B)/%.o) $(ENGINE_CC:%.cc=$(B)/%.o)
MAIN_O    := $(B)/c/main.o $(B)/c/lua.o $(B)/embed.o
LUA_SRC   := $(filter-out lua/examples/%,$(wildcard lua/*.lua lua/*/*.lua))
ARGPARSE  := /usr/share/lua/5.1/argparse.lua
CDEF      := $(B)/ffi.cdef
TESTS     := $(patsubst test/%.c,$(B)/test/%,$(wildcard test/test_*.c))

.PHONY: all deps demo check check-kernels bench outage bench-live soak fuzz install uninstall deb clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: deps-present $(B)/falco $(B)/libfalco.so

help:
	@echo 'make            build build/falco and build/libfalco.so'
	@echo 'make deps       install the Debian packages that build and tests need (as root)'
	@echo 'make demo       as root, watch live while harmless suspicious things happen; else replay captures; show the alerts'
	@echo 'make check      every test; SAN=1 alone builds with sanitizers'
	@echo 'make check-kernels   the live tests on 5.10, 6.1, 6.12 and the newest kernel of Debian, in QEMU'
	@echo 'make bench-live what watching live costs, as root: ns per system call, drops, memory'
	@echo 'make soak       watch a storm of system calls and forks for SECONDS=$(SECONDS), sanitized: no error, memory flat'
	@echo 'make outage     10,000 alerts a second for 60 s to a server that is away for 20 of them: what arrives, what it costs'
	@echo 'make bench      events per second, beside a yardstick in the same run'
	@echo 'make load       10,000 alerts a second for 60 s over HTTP and to Redis, which are away for 20 of them, and to Kafka'
	@echo 'make fuzz       fuzz the parsers (FUZZ_SECONDS=600 each)'
	@echo 'make install    below DESTDIR, PREFIX ($(PREFIX)), SYSCONF ($(SYSCONF)); make uninstall takes it away'
	@echo 'make deb        a Debian package in build/'
	@echo 'make clean      remove build/'
	@echo 'V=1 prints the commands; SAN=1 builds with ASan and UBSan below build/san/'

# ---------------------------------------------------------------- dependencies
DEPS := gcc g++ make pkg-config gzip luajit libluajit-5.1-dev lua-lpeg lua-lpeg-dev lua-argparse libyaml-dev libisal-dev \
	libjansson-dev libre2-dev libcmocka-dev lua-busted dpkg-dev clang libbpf-dev libelf-dev zlib1g-dev busybox-static libcurl4-openssl-dev libssl-dev openssl
# the REPL, and its tests
DEPS += libedit-dev tmux
# alerts to other machines, and their tests
DEPS += libhiredis-dev redis-server librdkafka-dev
# the web server
DEPS += libmicrohttpd-dev

deps:
	$(Q).ci/deps $(DEPS)

# What the tests of real containers need. Not in `deps`: on a machine of one's own they would start services.
CONTAINER_DEPS := runc containerd docker.io podman
.PHONY: container-deps
container-deps:
	$(Q)[ "$$(id -u)" = 0 ] && .ci/deps $(CONTAINER_DEPS) || echo 'skipped: installing $(CONTAINER_DEPS)'

.PHONY: deps-present
deps-present:
	$(Q)pkg-config --exists $(PKGS) re2 && test -f /usr/include/lua5.1/lua-lpeg.h && command -v $(LUAJIT) >/dev/null && test -f $(ARGPARSE) \
		|| { echo 'falco: packages are missing: run `make deps` as root (or `make demo`, which does)' >&2; exit 1; }

# ---------------------------------------------------------------- the program
$(B)/falco: $(ENGINE_O) $(MAIN_O)
	$(call say,LD,$@)
	$(Q)$(CXX) $(SANFLAGS) -rdynamic -o $@ $^ $(LDFLAGS) $(LIBS)

$(B)/libfalco.so: $(ENGINE_O)
	$(call say,LD,$@)
	$(Q)$(CXX) $(SANFLAGS) -shared -o $@ $^ $(LDFLAGS) $(LIBS)

# sys.c alone knows version and place of the configuration, and is made anew when they change
$(B)/c/engine/sys.o: ALLFLAGS += -DFALCO_VERSION='"$(VERSION)"' -DFALCO_SYSCONF='"$(SYSCONF)"'
$(B)/c/engine/sys.o: $(B)/settings

$(B)/settings: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION) $(SYSCONF)' | cmp -s - $@ || echo '$(VERSION) $(SYSCONF)' >$@

# a module that is gone must go from the program too
$(B)/modules: FORCE
	@mkdir -p $(@D)
	@echo '$(LUA_SRC)' | cmp -s - $@ || echo '$(LUA_SRC)' >$@

.PHONY: FORCE
FORCE:

# the kernel's side of the driver, and who carries it
PROBE := $(B)/c/driver/probe.bpf.o
$(PROBE): c/driver/probe.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -g -target bpf -std=gnu2x -ffreestanding -Wall -Werror -D__TARGET_ARCH_x86 -MMD -MP -c -o $@ $<

$(B)/c/driver/source_bpf.o: $(PROBE)
$(B)/c/driver/source_bpf.o: ALLFLAGS += -DPROBE_OBJECT='"$(PROBE)"'

$(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(ALLFLAGS) -c -o $@ $<

$(B)/%.o: %.cc
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXXSTD) $(ALLFLAGS) -c -o $@ $<

$(CDEF): c/engine/ffi.h
	$(call say,CDEF,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -DFALCO_CDEF -x c $< -o $@

$(B)/embed.c: c/embed.lua $(CDEF) $(LUA_SRC) $(ARGPARSE) $(B)/modules
	$(call say,EMBED,$@)
	$(Q)$(LUAJIT) c/embed.lua $@ $(CDEF) argparse=$(ARGPARSE) $(LUA_SRC)

$(B)/embed.o: $(B)/embed.c
	$(call say,CC,$<)
	$(Q)$(CC) $(CSTD) $(ALLFLAGS) -I. -c -o $@ $<

# ---------------------------------------------------------------- tests
# the test that lets allocations fail stands between the engine and the allocator
$(B)/test/test_alloc: LDFLAGS += $(foreach f,malloc calloc realloc free strdup,-Wl,--wrap=$(f))
$(B)/test/test_watch: LDFLAGS += -Wl,--wrap=inotify_init1
$(B)/test/%: $(B)/test/%.o $(ENGINE_O)
	$(call say,LD,$@)
	$(Q)$(CXX) $(SANFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -lcmocka

# what the driver reports of system calls; runs as root where there is BTF
$(B)/test/syscalls/syscalls: $(addprefix $(B)/,test/syscalls/syscalls.o $(addprefix c/driver/,source_bpf.o ring.o tasks.o))
	$(call say,LD,$@)
	$(Q)$(CXX) $(SANFLAGS) -o $@ $^ $(LDFLAGS) -lbpf
$(B)/test/syscalls/syscalls.o: ALLFLAGS += -Wno-int-to-pointer-cast -Wno-return-type -Wno-shadow

# servers to send alerts to
PEERS := $(B)/test/peers/sink $(B)/test/peers/kafka
$(B)/test/peers/%: test/peers/%.c test/http_server.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -O2 -g -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -o $@ $< -lssl -lcrypto -lz -lrdkafka -lpthread

# What acts suspiciously, in roots that hold no libraries, and what storms: never instrumented
LIVE_TESTS := $(B)/test/act $(B)/test/storm
$(B)/test/act: test/acts/act.c
$(B)/test/storm: test/live/storm.c
$(LIVE_TESTS):
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -O2 -Wall -Wextra -Wno-unused-parameter -static -o $@ $<

check: deps
	$(Q).ci/check

# the live tests on other kernels than this machine's; without root its packages must be there, else they are skipped by name
KERNEL_DEPS := qemu-system-x86 seabios busybox-static cpio
check-kernels:
	$(Q)[ "$$(id -u)" != 0 ] || .ci/deps $(DEPS) $(KERNEL_DEPS)
	$(Q)$(MAKE) --no-print-directory all test-programs
	$(Q)test/kernels/run $(B) $(KERNELS)

demo: deps
	$(Q)$(MAKE) --no-print-directory all $(B)/test/act
	$(Q)FALCO_ACT=$(B)/test/act test/demo $(B)/falco

bench: all
	$(Q)test/bench $(B)/falco

outage: all
	$(Q)test/outage $(B)/falco

bench-live: all $(LIVE_TESTS)
	$(Q)test/bench-live $(B)/falco $(B)/test/storm

# long enough for whatever grows to show
SECONDS ?= 1440
soak:
	$(Q)$(MAKE) --no-print-directory SAN=1 all test-programs
	$(Q)test/live/soak build/san/falco build/san/test/storm $(SECONDS)

FUZZ_SECONDS ?= 600
fuzz: deps
	$(Q)test/fuzz/run $(FUZZ_SECONDS)

# minutes: what the short runs of `make check` show, at full length
.PHONY: load
load: all $(PEERS)
	$(Q)test/load/run $(B)/falco 10000 60 20

.PHONY: test-programs
test-programs: $(TESTS) $(B)/test/count_alloc.so $(B)/test/syscalls/syscalls $(LIVE_TESTS) $(PEERS)

$(B)/test/count_alloc.so: test/count_alloc.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -O2 -shared -fPIC -o $@ $<

# ---------------------------------------------------------------- installing
# A configuration that is there already may be somebody's work: what is new goes beside it.
keep     = $(Q)if [ -e $(2) ] && ! cmp -s $(1) $(2); then echo 'kept $(2); the new one is $(2).new'; \
	install -m 644 $(1) $(2).new; else install -m 644 $(1) $(2); fi

install: all
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/doc/falco/examples \
		$(DESTDIR)$(SYSCONF)/falco/config.d $(DESTDIR)$(SYSCONF)/falco/rules.d $(DESTDIR)$(SYSCONF)/falco/scripts.d
	$(Q)install -m 755 $(B)/falco $(DESTDIR)$(PREFIX)/bin/falco
	$(Q)install -m 644 $(B)/libfalco.so $(DESTDIR)$(PREFIX)/lib/libfalco.so
	$(Q)install -m 644 docs/falco-scripts.7 $(DESTDIR)$(PREFIX)/share/man/man7/falco-scripts.7
	$(Q)install -m 644 lua/examples/*.lua $(DESTDIR)$(PREFIX)/share/doc/falco/examples
	$(Q)install -m 644 docs/falco.8 $(DESTDIR)$(PREFIX)/share/man/man8/falco.8
	$(Q)install -m 644 docs/falco.yaml.5 docs/falco-rules.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	$(Q)install -m 644 docs/falco-test.1 $(DESTDIR)$(PREFIX)/share/man/man1/falco-test.1
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(Q)sed 's|/etc/falco|$(SYSCONF)/falco|g; s|/usr/bin|$(PREFIX)/bin|g' conf/falco.service >$(B)/falco.service
	$(Q)install -m 644 $(B)/falco.service $(DESTDIR)$(PREFIX)/lib/systemd/system/falco.service
	$(Q)sed 's|/etc/falco|$(SYSCONF)/falco|g' conf/falco.yaml >$(B)/falco.yaml
	$(call keep,rules/falco_rules.yaml,$(DESTDIR)$(SYSCONF)/falco/falco_rules.yaml)
	$(call keep,$(B)/falco.yaml,$(DESTDIR)$(SYSCONF)/falco/falco.yaml)

uninstall:
	$(Q)rm -rf $(DESTDIR)$(PREFIX)/share/man/man7/falco-scripts.7 $(DESTDIR)$(PREFIX)/share/doc/falco/examples
	$(Q)rm -f $(DESTDIR)$(PREFIX)/bin/falco $(DESTDIR)$(PREFIX)/lib/libfalco.so $(DESTDIR)$(PREFIX)/share/man/man8/falco.8 $(DESTDIR)$(PREFIX)/share/man/man1/falco-test.1 \
		$(DESTDIR)$(PREFIX)/share/man/man5/falco.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/falco-rules.5
	$(Q)rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/falco.service
	@echo 'kept: $(DESTDIR)$(SYSCONF)/falco (your configuration)'

deb: all
	$(Q)packaging/deb $(VERSION)

clean:
	$(Q)rm -rf build

-include $(shell find $(B) -type f -name '*.d' 2>/dev/null)
