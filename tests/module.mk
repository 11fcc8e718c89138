# SPDX-License-Identifier: GPL-3.0-or-later
# tests/: `make unit` runs every cmocka program; `make check` adds the tests on real parts and the story.
# A test on real parts is an executable that closes with "N passed, N failed"; they run one after another
# (they share two cores with QEMU), and tests/check adds up their lines.
-include tests/laptop/module.mk
include tests/fuzz/module.mk
include tests/bench/module.mk
include tests/constant_time/module.mk

real_tests := $(wildcard tests/desk/test_*.py tests/luks2/test_*.py tests/bitlocker/test_*.py \
    tests/agent/test_*.py tests/courier/test_*.py tests/server/test_*.py tests/efi/test_*.py tests/laptop/test_*.py)

# seconds of real time are judged there, and what takes long is added: on a machine that does nothing else
only_long := $(addprefix tests/,efi/test_thousand.py efi/test_shim.py efi/test_windows.py laptop/test_dracut.py laptop/test_power_cuts.py)
long_tests := tests/courier/test_dead_servers.py tests/server/killed_often.py tests/server/under_systemd.py $(only_long)
# its tests run in check, too, by test_sanitized.py
plain_in_long := tests/server/test_server.py
real_tests := $(filter-out $(only_long) $(plain_in_long),$(real_tests))
# those that leave out in check what takes minutes on an emulated processor, whole
long_forms := $(addprefix tests/agent/test_,crash.py crash_partition.py) $(addprefix tests/laptop/test_,computers.py obstacles.py) tests/efi/test_copy.py
.PHONY: check-long
check-long: check
	$(Q)KEYHOLT_LONG=1 KEYHOLT_SECONDS=judged KEYHOLT_IDLE=10000 KEYHOLT_FUZZ=5000 KEYHOLT_SANITIZED=all \
	    KEYHOLT_TEST_LIMIT=3600 tests/check $(long_tests) $(long_forms) $(plain_in_long) tests/server/test_strangers.py \
	    tests/server/test_robustness.py tests/server/test_start.py tests/server/test_sanitized.py

# what does not run in firmware; made by `make sanitized`, too
.PHONY: hosted_units
hosted_units: $(filter-out $(addprefix $(B)/tests/test_,efi_% crypto_mbedtls crypto_agree),$(filter $(B)/tests/test_%,$(unit_tests)))
unit: $(unit_tests)
	$(Q)tests/check $(unit_tests)
check: all deb sanitized $(unit_tests)
	$(Q)KEYHOLT_EVERY=1 tests/check $(unit_tests) $(constant_time_tests) $(real_tests) tests/story/story.py
demo: all deb
	$(Q)tests/story/story.py --tell
