# SPDX-License-Identifier: GPL-3.0-or-later
# tests/: `make unit` runs every cmocka program; `make check` adds the tests on real parts and the story.
# A test on real parts is an executable that closes with "N passed, N failed", and tests/check adds up their lines. Those with
# servers or networks, and those of virtual machines that watch seconds or keys going in, run one after another, the others
# (together) as many at once as there are cores.
-include tests/laptop/module.mk
include tests/fuzz/module.mk
include tests/bench/module.mk
include tests/constant_time/module.mk

real_tests := $(wildcard tests/desk/test_*.py tests/luks2/test_*.py tests/bitlocker/test_*.py \
    tests/agent/test_*.py tests/courier/test_*.py tests/server/test_*.py tests/efi/test_*.py tests/laptop/test_*.py)

# Every test of the server, and those of the courier and the desk that are short, run in check on the sanitized build (below)
# and on the plain one in check-long. On the plain one in check: what it alone can judge (test_plain, test_rest, test_bomb), what
# starts no program (test_units), and test_sanitized.py, which judges tests/sanitized itself.
plain_tests := $(addprefix tests/server/test_,plain.py rest.py units.py sanitized.py) tests/courier/test_bomb.py
sanitized_tests := $(filter-out $(addprefix tests/server/test_,plain.py units.py sanitized.py),$(wildcard tests/server/test_*.py)) \
    $(addprefix tests/courier/test_,courier.py handoff.py proxy.py) tests/desk/test_desk.py
plain_in_long := $(filter-out $(plain_tests),$(sanitized_tests))

# seconds of real time are judged there, and what takes long is added: on a machine that does nothing else
only_long := $(addprefix tests/,efi/test_thousand.py efi/test_shim.py efi/test_windows.py laptop/test_dracut.py laptop/test_power_cuts.py)
long_tests := tests/courier/test_dead_servers.py tests/server/killed_often.py tests/server/under_systemd.py $(only_long)
real_tests := $(filter-out $(only_long) $(plain_in_long),$(real_tests))
# those that leave out in check what takes minutes, most of them on an emulated processor, whole
long_forms := $(addprefix tests/agent/test_,crash.py crash_partition.py) $(addprefix tests/laptop/test_,computers.py obstacles.py) \
    tests/efi/test_copy.py tests/server/test_sanitized.py
.PHONY: check-long
check-long: check
	$(Q)KEYHOLT_LONG=1 KEYHOLT_SECONDS=judged KEYHOLT_IDLE=10000 KEYHOLT_FUZZ=5000 KEYHOLT_TEST_LIMIT=3600 \
	    tests/check $(long_tests) $(long_forms) $(plain_in_long) --sanitized $(san_long_units) $(san_long_tests)

# Under AddressSanitizer and UBSan: the server, all that its tests run beside it, and the units that do not run in firmware.
# Their runtimes are linked statically: libubsan.so has an output of its own, which no log_path reaches. What is preloaded is not
# instrumented, nor the TPM's module (no test here has a TPM), nor the probe, which limits its own address space.
SAN := $(B)/san
san_programs := $(addprefix bin/,keyholt-server keyholt-load keyholt-desk keyholt-agent) $(addprefix libexec/,web writer reader \
    vault export keeper courier errand handoff) $(addprefix tests/,record_tool broken seal_tool bitlocker_write vault_unconfined \
    kill_shim.so durable_shim.so clock_shim.so leak_shim.so)
.PHONY: sanitized hosted_units
sanitized: $(B)/libexec/probe $(B)/libexec/keyholt-tpm.so
	$(Q)$(MAKE) --no-print-directory B=$(SAN) CFLAGS='-O1 -g -fno-omit-frame-pointer $(ASAN)' HARDEN= \
	    EXTRA_CFLAGS='-Wno-format-truncation -DPEM_ITERATIONS=20000' LDFLAGS='$(ASAN) -static-libasan -static-libubsan' \
	    $(san_programs:%=$(SAN)/%) hosted_units
	$(Q)cp -u $^ $(SAN)/libexec/
hosted := $(filter-out $(addprefix $(B)/tests/test_,efi_% crypto_mbedtls crypto_agree),$(filter $(B)/tests/test_%,$(unit_tests)))
hosted_units: $(hosted)
# some take many seconds of a processor there
san_all_units := $(hosted:$(B)/%=$(SAN)/%)
san_long_units := $(addprefix $(SAN)/tests/test_,disk_faults disk_kept bitlocker_unlock)
san_units := $(filter-out $(san_long_units),$(san_all_units))
san_long_tests := $(addprefix tests/server/test_,robustness.py mutated.py)
# the longest first
together_tests := $(addprefix tests/,agent/test_crash.py efi/test_recovery.py agent/test_rotate_attacked.py agent/test_report.py \
    luks2/test_verdicts.py)
together_tests += $(filter-out $(together_tests),$(filter $(addprefix tests/,agent/% luks2/% bitlocker/% desk/% \
    $(addprefix efi/test_,crypto.py volumes.py)),$(real_tests)))
# those that neither fill the machine nor measure a busy server
san_together := $(addprefix tests/server/test_,vault.py loss.py stores.py outbox.py heartbeat.py org.py clocks.py mutated.py durable.py \
    local_socket.py with_agent.py) tests/courier/test_courier.py tests/desk/test_desk.py
unit: $(unit_tests)
	$(Q)tests/check --together $(unit_tests)
check: all deb sanitized $(unit_tests)
	$(Q)KEYHOLT_EVERY=1 tests/check $(constant_time_tests) --together $(together_tests) $(unit_tests) --alone \
	    $(filter-out $(together_tests),$(real_tests)) tests/story/story.py --sanitized --together $(san_together) $(san_units) --alone \
	    $(filter-out $(san_together),$(sanitized_tests))
demo: all deb
	$(Q)tests/story/story.py --tell
