# athanore: builds out of tree in $(BUILD).
#
#   make                 build/athanore and build/athanore-supervise
#   make unit-tests      build/tests/unit/*
#   make fixtures        build/tests/fixtures/*, which the end-to-end tests run
#   make fuzzers         build/tests/fuzz/* (clang)
#   make benches         build/tests/bench/*, which scripts/bench runs
#   make install         to $(DESTDIR)$(PREFIX)
#
# Variables: CC CFLAGS LDFLAGS PREFIX DESTDIR BUILD V=1 WERROR=1 SANITIZE=address,undefined
# (or thread) DEBUG=1

PREFIX ?= /usr/local
BUILD ?= build
CC ?= cc
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
VERSION := $(shell cat VERSION)

# lua5.4-cjson is linked statically: it is a Lua module first, and no library on the loader's path.
DEP_CFLAGS := $(shell $(PKG_CONFIG) --cflags lua5.4 libevent libcurl libcrypto json-c sqlite3 lua5.4-cjson)
DEP_LIBS := $(shell $(PKG_CONFIG) --libs lua5.4 libevent libcurl libcrypto json-c sqlite3)
CJSON_LIB := $(firstword $(wildcard $(shell $(PKG_CONFIG) --variable=libdir lua5.4-cjson)/liblua5.4-cjson.a) -llua5.4-cjson)

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif
HARDEN = -fstack-protector-strong -fPIE
LINK_HARDEN = -Wl,-z,relro,-z,now -pie
STATIC = -static
ifneq ($(SANITIZE),)
HARDEN += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LINK_HARDEN += -fsanitize=$(SANITIZE)
STATIC =
else ifeq ($(DEBUG),)
HARDEN += -D_FORTIFY_SOURCE=2
endif
ifneq ($(STATIC),)
SUPERVISE_CFLAGS = -fno-pie
SUPERVISE_LDFLAGS = -static
else
SUPERVISE_LDFLAGS = $(LINK_HARDEN)
endif

ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DATHANORE_VERSION='"$(VERSION)"' $(PREFIX_CFLAGS) \
	-Isrc $(DEP_CFLAGS) $(WARNINGS) $(HARDEN) -MMD -MP $(CFLAGS)

LAYERS = base loop model store queue script dispatch api mcp web cli
LIB_SRC := $(wildcard $(LAYERS:%=src/%/*.c))
LIB_OBJ := $(LIB_SRC:src/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/gen/lua_files.o
MAIN_OBJ := $(BUILD)/obj/main.o
# The supervisor is libc only: these files of base, and its own.
SUPERVISE_SRC := $(wildcard src/supervise/*.c) $(addprefix src/base/,alloc.c error.c clock.c str.c json_text.c fs.c)
SUPERVISE_OBJ := $(SUPERVISE_SRC:src/%.c=$(BUILD)/supervise-obj/%.o)
LUA_ALL := $(shell find lua -name '*.lua' | LC_ALL=C sort)
LUA_SRC := $(foreach file,$(LUA_ALL),$(if $(findstring /_meta/,$(file)),,$(file)))
# Its parts once more, for the tests: a library of their own, since nothing else may use them.
SUPERVISE_TEST_OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(wildcard src/supervise/*.c)))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/tests/fuzz/%)
FIXTURE_PARTS := $(wildcard tests/fixtures/*_queue.c)
FIXTURE_PRELOADS := $(wildcard tests/fixtures/*_preload.c)
FIXTURE_SRC := $(filter-out $(FIXTURE_PARTS) $(FIXTURE_PRELOADS),$(wildcard tests/fixtures/*.c))
FIXTURE_BIN := $(FIXTURE_SRC:tests/fixtures/%.c=$(BUILD)/tests/fixtures/%) \
	$(FIXTURE_PRELOADS:tests/fixtures/%.c=$(BUILD)/tests/fixtures/%.so)
BENCH_SRC := $(wildcard tests/bench/*.c)
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(BUILD)/tests/bench/%)

ifeq ($(V),1)
Q =
say = @:
else
Q = @
say = @printf '  %-7s %s\n'
endif

.PHONY: all unit-tests fixtures fuzzers benches install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/athanore $(BUILD)/athanore-supervise

$(BUILD)/athanore: $(MAIN_OBJ) $(BUILD)/libathanore.a
	$(say) LINK $@
	$(Q)$(CC) $(LINK_HARDEN) $(LDFLAGS) -o $@ $^ $(CJSON_LIB) $(DEP_LIBS) -lm -lpthread

$(BUILD)/athanore-supervise: $(SUPERVISE_OBJ)
	$(say) LINK $@
	$(Q)$(CC) $(SUPERVISE_LDFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/libathanore.a: $(LIB_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/supervise-obj/%.o: src/%.c $(BUILD)/flags
	$(say) CC "$< (supervise)"
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(SUPERVISE_CFLAGS) -c -o $@ $<

$(BUILD)/gen/lua_files.c: $(LUA_SRC) scripts/embed
	$(say) EMBED $@
	$(Q)mkdir -p $(@D) && ./scripts/embed $(LUA_SRC) > $@

$(BUILD)/obj/gen/lua_files.o: $(BUILD)/gen/lua_files.c $(BUILD)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

# Another PREFIX concerns only the files that look at it.
PREFIX_OBJ := $(patsubst src/%.c,$(BUILD)/obj/%.o,$(shell grep -ls ATHANORE_LIBEXECDIR $(LIB_SRC) src/main.c))
$(PREFIX_OBJ): PREFIX_CFLAGS = -DATHANORE_LIBEXECDIR='"$(PREFIX)/libexec/athanore"'
$(PREFIX_OBJ): $(BUILD)/prefix

$(BUILD)/prefix: FORCE
	$(Q)mkdir -p $(@D) && printf '%s\n' '$(PREFIX)' | cmp -s - $@ || printf '%s\n' '$(PREFIX)' > $@

# Rebuild when the compiler, its flags or the version change.
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(@D) && printf '%s\n' '$(CC) $(subst ',,$(ALL_CFLAGS)) $(SUPERVISE_CFLAGS)' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(subst ',,$(ALL_CFLAGS)) $(SUPERVISE_CFLAGS)' > $@
FORCE:

unit-tests: $(UNIT_BIN) $(BUILD)/athanore-supervise

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libathanore.a $(BUILD)/flags
	$(say) TEST $@
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests/unit $(LINK_HARDEN) $(LDFLAGS) -o $@ $< \
		$(BUILD)/libathanore.a $(CJSON_LIB) $(DEP_LIBS) -lcmocka -lm -lpthread

$(BUILD)/libsupervise.a: $(SUPERVISE_TEST_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/unit/test_supervise_%: tests/unit/test_supervise_%.c $(BUILD)/libsupervise.a $(BUILD)/libathanore.a $(BUILD)/flags
	$(say) TEST $@
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests/unit $(LINK_HARDEN) $(LDFLAGS) -o $@ $< \
		$(BUILD)/libsupervise.a $(BUILD)/libathanore.a -lcmocka

# Programs that the end-to-end tests run: agents, and hosts of one layer.
fixtures: $(FIXTURE_BIN)

$(BUILD)/tests/fixtures/%: tests/fixtures/%.c $(BUILD)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

# Libraries that are preloaded into a daemon.
$(BUILD)/tests/fixtures/%.so: tests/fixtures/%.c $(BUILD)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(LDFLAGS) -fPIC -shared -o $@ $< -ldl

# A host serves one layer with stubs of its own for those below, which come before the library's.
$(BUILD)/tests/fixtures/%_host: tests/fixtures/%_host.c $(FIXTURE_PARTS) $(BUILD)/libathanore.a $(BUILD)/flags
	$(say) FIXTURE $@
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Itests/fixtures $(LINK_HARDEN) $(LDFLAGS) -o $@ $< $(FIXTURE_PARTS) \
		$(BUILD)/libathanore.a $(CJSON_LIB) $(DEP_LIBS) -lm -lpthread

# BUILD must be a build by clang with SANITIZE=address,undefined,fuzzer-no-link: scripts/test fuzz.
fuzzers: $(FUZZ_BIN)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(BUILD)/libathanore.a
	$(say) FUZZ $@
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< \
		$(BUILD)/libathanore.a $(CJSON_LIB) $(DEP_LIBS) -lm -lpthread

$(BUILD)/tests/fuzz/fuzz_supervise_%: tests/fuzz/fuzz_supervise_%.c $(BUILD)/libsupervise.a $(BUILD)/libathanore.a
	$(say) FUZZ $@
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< \
		$(BUILD)/libsupervise.a $(BUILD)/libathanore.a $(DEP_LIBS)

benches: $(BENCH_BIN)

$(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/libathanore.a $(BUILD)/flags
	$(say) BENCH $@
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(LINK_HARDEN) $(LDFLAGS) -o $@ $< \
		$(BUILD)/libathanore.a $(CJSON_LIB) $(DEP_LIBS) -lm -lpthread

# The agents of benchmarks take as little time to start as can be.
$(BUILD)/tests/bench/agent_%: tests/bench/agent_%.c $(BUILD)/flags
	$(say) BENCH $@
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(STATIC) $(LDFLAGS) -o $@ $<

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/athanore \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/athanore
	install -m 755 $(BUILD)/athanore $(DESTDIR)$(PREFIX)/bin/athanore
	install -m 755 $(BUILD)/athanore-supervise $(DESTDIR)$(PREFIX)/libexec/athanore/athanore-supervise
	install -m 644 docs/athanore.1 $(DESTDIR)$(PREFIX)/share/man/man1/athanore.1
	for file in $(LUA_ALL); do \
		install -D -m 644 "$$file" "$(DESTDIR)$(PREFIX)/share/athanore/$$file" || exit 1; \
	done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/athanore $(DESTDIR)$(PREFIX)/share/man/man1/athanore.1
	rm -rf $(DESTDIR)$(PREFIX)/libexec/athanore $(DESTDIR)$(PREFIX)/share/athanore

clean:
	rm -rf $(BUILD)

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(SUPERVISE_OBJ:.o=.d) $(SUPERVISE_TEST_OBJ:.o=.d) $(UNIT_BIN:=.d)
