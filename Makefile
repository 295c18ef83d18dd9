# Neap. `make help` lists the targets.
MODE   ?= debug
BUILD  ?= build
ROOMS  ?= base loop store net work script api ops cli
OUT    := $(BUILD)/$(MODE)
CC     ?= gcc
Q      := $(if $(V),,@)

PACKAGES := lua5.4 lmdb libcurl libevent libevent_openssl expat libcrypto libssl liblz4 xlsxwriter
PKG_CFLAGS ?= $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   ?= $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef \
        -Wwrite-strings $(if $(ERR),-Werror)
FLAGS_debug   := -O1 -g -DNEAP_KILL_POINTS
FLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
FLAGS_asan    := -O1 -g -DNEAP_KILL_POINTS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_cov     := -O0 -g --coverage
LINK_release  := -pie -Wl,-z,relro,-z,now
LINK_asan     := -fsanitize=address,undefined
LINK_cov      := --coverage
MIMALLOC_release := -lmimalloc

CPPFLAGS += -I. -Iinclude -I$(OUT) -D_DEFAULT_SOURCE
CFLAGS   += -std=c11 $(WARN) $(FLAGS_$(MODE)) $(PKG_CFLAGS)
LDFLAGS  += $(LINK_$(MODE)) -rdynamic
LDLIBS   += $(MIMALLOC_$(MODE)) $(PKG_LIBS) -lpthread -lm

LIB_SRC  := $(sort $(wildcard $(ROOMS:%=core/%/*.c)) $(filter-out core/main.c,$(if $(filter cli,$(ROOMS)),$(wildcard core/*.c))))
LIB_OBJ  := $(LIB_SRC:%.c=$(OUT)/%.o)
UNIT     ?= $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT:%=$(OUT)/unit/%)
FUZZ     := $(patsubst tests/fuzz/%_fuzzer.c,%,$(wildcard tests/fuzz/*_fuzzer.c))

.PHONY: all help deps deps-check deps-list demo check lint format unit test lua-test integration fuzz \
        fuzz-regression asan clean install examples container crash power reload-load runaway
# Sanitizer and coverage builds stay in their folder; build/neap is the newest of the others.
all: $(if $(filter asan cov,$(MODE)),$(OUT)/neap,$(BUILD)/neap)

help:
	@sed -n "s/^## //p" Makefile tests/tests.mk

## make            build build/neap (MODE=debug|release|asan|cov)
# By where it leads, not by age: the newest build is what was asked for last.
$(BUILD)/neap: $(OUT)/neap FORCE
	$(Q)[ "$$(readlink $@)" = $(MODE)/neap ] || ln -sf $(MODE)/neap $@

$(OUT)/neap: $(OUT)/core/main.o $(OUT)/libneap.a $(OUT)/version.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Objects go away before the archive is made anew, so a deleted source leaves nothing behind.
$(OUT)/libneap.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

# A change of flags rebuilds everything through this stamp.
$(OUT)/.flags: FORCE
	$(Q)mkdir -p $(OUT)
	$(Q)echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(ROOMS)' | cmp -s - $@ || \
	    echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(ROOMS)' > $@
FORCE:

$(OUT)/version.c: FORCE
	$(Q)mkdir -p $(OUT)
	$(Q)echo 'const char *neap_version(void); const char *neap_version(void) { return "$(VERSION)"; }' \
	    > $@.new && (cmp -s $@.new $@ || mv $@.new $@); rm -f $@.new

$(OUT)/version.o: $(OUT)/version.c
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(OUT)/%.o: %.c $(OUT)/.flags
	$(Q)mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/unit/%: tests/unit/test_%.c $(OUT)/libneap.a $(OUT)/version.o $(wildcard tests/support/*.h)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(OUT)/libneap.a $(OUT)/version.o $(LDLIBS)

## make unit       unit tests (UNIT="stem ..." for some)
unit: $(UNIT_BIN)
	$(Q)tests/support/run_tap.sh $(UNIT_BIN)

-include $(LIB_OBJ:.o=.d) $(OUT)/core/main.d
include tests/tests.mk
