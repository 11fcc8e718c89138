# SPDX-License-Identifier: GPL-3.0-or-later
# tests/bench/: speed beside a peer or a limit. BENCH names some of the lines, BENCH_RUNS how often each is run.
BENCH_RUNS ?= 5
$(eval $(call program,tests/bench_primitives,tests/bench/primitives.c,))
.PHONY: bench
bench: all
	$(Q)tests/bench/bench.py --runs $(BENCH_RUNS) --json $(B)/bench.json $(BENCH)
