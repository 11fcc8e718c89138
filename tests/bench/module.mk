# SPDX-License-Identifier: GPL-3.0-or-later
# tests/bench/: speed beside a peer or a limit. BENCH names some of the lines, BENCH_RUNS how often each is run.
# Whole processes are timed by bench.py itself, primitives by one C program per topic (tests/bench/bench.h).
BENCH_RUNS ?= 5
bench_topics := sha256 pbkdf2 sectors stretch
$(foreach t,$(bench_topics),$(eval $(call program,tests/bench_$(t),tests/bench/bench_$(t).c tests/bench/bench.c,)))
.PHONY: bench bench-large
bench bench-large: $(B)/tests/sync_shim.so
$(B)/tests/sync_shim.so: tests/bench/sync_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) -fPIC $(WARN) -shared -o $@ $< -ldl
bench: all
	$(Q)tests/bench/bench.py --runs $(BENCH_RUNS) --json $(B)/bench.json $(BENCH)
# look-ups among 5,000,000 keys: about ten minutes and 10 GB of disk
bench-large: all
	$(Q)tests/bench/bench.py --runs $(BENCH_RUNS) --size large --json $(B)/bench-large.json lookup
# the store alone, for tests/bench/bench_server.py
bench_store := bench_store bench_bare bench_fill
$(eval $(call program,tests/bench_store,$(bench_store:%=tests/bench/%.c) $(server_store) escrow-server/process/slog.c,$(server_store_libs)))
