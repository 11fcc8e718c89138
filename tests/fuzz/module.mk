# SPDX-License-Identifier: GPL-3.0-or-later
# tests/fuzz/: every decoder under libFuzzer with AddressSanitizer and UBSan. `make fuzz` gives each target
# FUZZ_SECONDS (60); FUZZ_TARGETS names some of them. Inputs found are kept in build/libfuzzer/NAME.corpus; what
# is worth keeping is merged into tests/fuzz/corpus/NAME by `make fuzz-keep`.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(fuzz_targets)
$(B)/libfuzzer/obj/%.o: %.c Makefile
	$(call say,CC-FUZZ,$<)mkdir -p $(@D) && clang $(CPPFLAGS) -std=gnu11 -O1 -g -fno-omit-frame-pointer \
	    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -MMD -MP -c $< -o $@

.PHONY: fuzz fuzz-keep
fuzz: $(FUZZ_TARGETS:%=$(B)/libfuzzer/%) $(FUZZ_TARGETS:%=$(B)/asan/%)
	$(Q)tests/fuzz/fuzz $(B) $(FUZZ_SECONDS) $(FUZZ_TARGETS)
fuzz-keep: $(FUZZ_TARGETS:%=$(B)/libfuzzer/%)
	$(Q)tests/fuzz/keep $(B) $(FUZZ_TARGETS)
-include $(shell find $(B)/libfuzzer -name '*.d' 2>/dev/null)
