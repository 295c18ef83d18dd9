# Targets that install, check and measure; included by the Makefile.

## make deps       install what is missing to build (Debian); make deps-check adds what make check needs
deps:
	@tests/support/deps.sh install
deps-check:
	@tests/support/deps.sh install all
## make deps-list  print the packages
deps-list:
	@tests/support/deps.sh list

## make demo       install, build, run host, demo client and sandboxes (ONCE=1 ends after the summary)
demo: deps
	@$(MAKE) --no-print-directory -s -j2 MODE=release
	@exec $(BUILD)/neap demo $(if $(ONCE),--once)

C_FILES   := $(shell git ls-files -co --exclude-standard 'core/*.c' 'core/*.h' 'include/*.h' 'tests/*.c' 'tests/*.h')
LUA_FILES := $(shell git ls-files -co --exclude-standard '*.lua')

## make format     clang-format everything in place
format:
	@clang-format -i $(C_FILES)

## make lint       format, includes, sizes, names, clang-tidy (TIDY=0 skips it), luacheck
lint:
	@tests/support/lint.sh

## make lua-test   tests/lua, run by the host binary
lua-test: $(BUILD)/neap
	@$(BUILD)/neap test --lua tests/lua/*_test.lua

## make integration  hosts and sandboxes as processes (TESTS="01 02" for some)
integration: $(BUILD)/neap
	@tests/integration/run.sh $(TESTS)

## make crash      kill -9 at random, N=100 times (SEED=...), and at every named moment
crash: $(BUILD)/neap
	@NEAP_WIDE=1 NEAP_KILLS=$(or $(N),100) NEAP_SEED=$(or $(SEED),$$(date +%N | sed 's/^0*//')) \
	    python3 tests/integration/10_crash/test.py

# A library to preload into a host: power cuts, failing syncs, and what left too early.
$(BUILD)/power_shim.so: $(wildcard tests/support/shim/*.c tests/support/shim/*.h)
	$(Q)mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $@")
	$(Q)$(CC) -std=c11 -O1 -g -fPIC -shared $(WARN) -I. -o $@ $(filter %.c,$^) -llmdb -llz4 -lpthread

## make blackfriday  a peak day in virtual time (SEED=1 ORDERS=1500 LINE=soap|cloud)
.PHONY: blackfriday
blackfriday:
	@$(MAKE) --no-print-directory -s -j2 MODE=release
	@$(BUILD)/release/neap simulate examples/blackfriday --seed $(or $(SEED),1) --set ORDERS=$(or $(ORDERS),1500) \
	    --set LINE=$(or $(LINE),soap)

## make power      power cuts while orders flow N=60 times (SEED=...), failing syncs, what leaves too early
power: $(BUILD)/neap
	@NEAP_CUTS=$(or $(N),60) NEAP_SEED=$(or $(SEED),$$(date +%N | sed 's/^0*//')) python3 tests/integration/12_power/test.py

## make reload-load  reloads while orders flow (N=200 SEED=...); make runaway  scripts that misbehave (SEED=...)
reload-load: $(BUILD)/neap
	@NEAP_RELOADS=$(or $(N),200) $(if $(SEED),NEAP_SEED=$(SEED)) PYTHONDONTWRITEBYTECODE=1 python3 tests/integration/13_reload_load/test.py
runaway: $(BUILD)/neap
	@$(if $(SEED),NEAP_SEED=$(SEED)) PYTHONDONTWRITEBYTECODE=1 python3 tests/integration/14_runaway/test.py

## make fuzz       each fuzzer for SECONDS=20; make fuzz-regression replays the corpora (in make check)
fuzz:
	@tests/support/fuzz.sh campaign $(or $(SECONDS),20) $(FUZZ)
fuzz-regression:
	@tests/support/fuzz.sh regression 0 $(FUZZ)

## make check      everything CI runs: lint, build, all tests, sanitizers; ends "N passed, N failed"
check:
	@tests/support/check.sh

## make asan       unit and Lua tests under address and undefined-behaviour sanitizers
asan:
	@$(MAKE) --no-print-directory -s -j2 MODE=asan ERR=1 all unit
	@$(BUILD)/asan/neap test --lua tests/lua/*_test.lua

## make container  build the image with podman or buildah
container:
	@podman build -t neap -f Containerfile . 2>/dev/null || buildah build -t neap -f Containerfile .

## make examples   start each example against the sandboxes
examples: $(BUILD)/neap
	@tests/support/examples.sh

## make bench-stock  the stock flow at several sizes of the catalogue, a delta (SIZES="20000,1000000" CHANGES=1000)
SIZES ?= 20000,1000000
CHANGES ?= 1000
bench-stock:
	@$(MAKE) --no-print-directory -s -j2 MODE=release
	@python3 tests/bench/stock_size.py --codes $(SIZES) --changes $(CHANGES)
.PHONY: bench-stock

## make bench-footprint  memory, start, reload, mirror beside their floors (PARTS="memory start" for some)
bench-footprint:
	@$(MAKE) --no-print-directory -s -j2 MODE=release bench-programs
	@python3 tests/bench/footprint_bench.py $(PARTS)

## make bench-replay  CPU of replay and reconciliation over recorded orders, beside the minute for 10,000 (ORDERS=1000)
bench-replay:
	@$(MAKE) --no-print-directory -s -j2 MODE=release
	@python3 tests/bench/replay_bench.py $(or $(ORDERS),1000)
.PHONY: bench-replay

## make bench-flows  CPU of amendments, despatch, returns, Cloud, alerts, products beside an order's posting (ORDERS=300)
bench-flows:
	@$(MAKE) --no-print-directory -s -j2 MODE=release
	@python3 tests/bench/flows_bench.py $(or $(ORDERS),300)
.PHONY: bench-flows

PREFIX ?= /usr/local
## make install    binary and scripts under PREFIX=/usr/local (DESTDIR honoured)
install: all
	@install -D -m 0755 $(OUT)/neap $(DESTDIR)$(PREFIX)/bin/neap
	@mkdir -p $(DESTDIR)$(PREFIX)/share/neap
	@cp -R scripts examples $(DESTDIR)$(PREFIX)/share/neap/
	@mkdir -p $(DESTDIR)$(PREFIX)/include
	@cp -R include/neap $(DESTDIR)$(PREFIX)/include/

## make clean      remove build/
clean:
	@rm -rf $(BUILD)

BENCH := $(OUT)/bench/floor $(OUT)/bench/outside $(OUT)/bench/footprint_floor
$(OUT)/bench/footprint_floor: tests/bench/footprint_floor.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -I. -D_DEFAULT_SOURCE $(CFLAGS) -o $@ $< $(PKG_LIBS) -llua5.4-cjson -lpthread
$(OUT)/bench/%: $(wildcard tests/bench/*.[ch]) $(OUT)/.flags
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -o $@ $(wildcard tests/bench/$**.c) $(LDLIBS) -llua5.4-cjson

## make bench      the host against a bare program: a table, asserts nothing (ROUNDS=5 SECONDS=2)
bench:
	@$(MAKE) --no-print-directory -s MODE=release bench-programs
	@tests/bench/run.sh
bench-programs: $(BUILD)/neap $(BENCH)
.PHONY: bench bench-programs
