# SPDX-License-Identifier: GPL-3.0-or-later
# formats/: bytes we read or write. Both worlds:
formats_sources := formats/guid.c formats/recovery_password.c formats/base.c formats/envelope.c \
    formats/qr_text.c formats/handoff.c formats/text.c \
    formats/json_grammar.c formats/json_string.c formats/json_walk.c formats/luks2_names.c formats/luks2_copy.c formats/luks2_foreign.c \
    formats/luks2_header.c formats/luks2_metadata.c formats/luks2_digests.c formats/luks2_segments.c \
    formats/luks2_slots.c formats/luks2_reasons.c formats/luks2_tokens.c formats/luks2_open.c formats/luks2_data.c \
    formats/luks2_fingerprint.c formats/org.c formats/management.c
bitlocker_sources := formats/bitlocker.c formats/bitlocker_boot.c formats/bitlocker_info.c formats/bitlocker_entry.c \
    formats/bitlocker_block.c formats/bitlocker_protector.c formats/bitlocker_text.c formats/bitlocker_crc32.c \
    formats/bitlocker_key.c formats/bitlocker_stretch.c formats/bitlocker_unlock.c formats/bitlocker_startup_key.c \
    formats/bitlocker_open.c formats/bitlocker_ranges.c formats/bitlocker_eow.c formats/bitlocker_elephant.c \
    formats/bitlocker_read.c
formats_sources += $(bitlocker_sources)
# Hosted only (sealing, signing):
formats_hosted_sources := \
    formats/luks1.c formats/envelope_seal.c formats/record.c formats/receipt.c formats/enroll_text.c formats/command.c \
    formats/management_encode.c formats/policy.c formats/policy_unknown.c formats/key_package.c formats/outbox.c formats/outbox_answer.c \
    formats/pe_signature.c formats/efi_signature.c formats/org_verify.c formats/host/json_strict.c formats/host/number_list.c \
    formats/host/audit_line.c formats/host/audit_lines.c \
    formats/host/audit_chain.c formats/host/audit_gap.c formats/host/audit_checkpoint.c formats/host/audit_erase.c formats/host/audit_compare.c formats/audit_head.c
# What the LUKS2 reader sees, for tests/luks2/
$(eval $(call program,tests/luks2_tool,tests/luks2/luks2_tool.c,))
# What the BitLocker reader sees, for tests/bitlocker/
$(eval $(call program,tests/bitlocker_tool,tests/bitlocker/bitlocker_tool.c,))
bitlocker_writer := tests/bitlocker/bitlocker_writer.c tests/bitlocker/bitlocker_writer_data.c \
    tests/bitlocker/bitlocker_writer_keys.c
$(eval $(call program,tests/bitlocker_write,tests/bitlocker/bitlocker_write.c $(bitlocker_writer),))

$(eval $(call unit,test_formats_password,,))
$(eval $(call unit,test_formats_text,,))
$(eval $(call unit,test_formats_envelope,,))
$(eval $(call unit,test_formats_signed,,))
$(eval $(call unit,test_formats_outbox,,))
$(eval $(call unit,test_formats_json,,-ljson-c))
$(eval $(call unit,test_luks2,tests/unit/luks2_image.c,))
$(eval $(call unit,test_luks2_scratch,tests/unit/luks2_image.c,))
$(eval $(call unit,test_luks2_data,,))
$(eval $(call unit,test_luks2_read,,))
$(eval $(call unit,test_luks2_json,,))
bitlocker_image := $(bitlocker_writer) tests/bitlocker/bitlocker_image.c
$(eval $(call unit,test_bitlocker,$(bitlocker_image),))
$(eval $(call unit,test_bitlocker_unlock,$(bitlocker_image),))
$(eval $(call unit,test_bitlocker_data,$(bitlocker_image),))
$(eval $(call unit,test_org,,))
$(eval $(call unit,test_management,,))
$(eval $(call unit,test_policy,,))
$(eval $(call unit,test_key_package,,))
KEYHOLT_DATA ?= ../shared/data
$(B)/data/luks2/unpacked: tests/luks2/unpack.py $(wildcard $(KEYHOLT_DATA)/luks2/*)
	$(call say,UNPACK,$(KEYHOLT_DATA)/luks2)tests/luks2/unpack.py $(KEYHOLT_DATA)/luks2 $(@D) && touch $@
unit check: $(B)/data/luks2/unpacked
$(eval $(call unit,test_formats_audit,,-ljson-c))
$(eval $(call unit,test_audit_gap,,))

# $(call fuzz,name,sources under test,libraries): tests/fuzz/NAME.c with the driver, under the sanitizers, as a unit
# test; the same for libFuzzer, for `make fuzz` (tests/fuzz/module.mk)
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
$(B)/asan/obj/%.o: %.c Makefile
	$(call say,CC-ASAN,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 -O1 -g $(WARN) $(ASAN) -MMD -MP -c $< -o $@
define fuzz
unit_tests += $(B)/asan/$(1)
$(B)/asan/$(1): $(patsubst %.c,$(B)/asan/obj/%.o,tests/fuzz/$(1).c tests/fuzz/driver.c $(2)) $(B)/lib/libkeyholt.a
	$$(call say,LD-ASAN,$$@)$$(CC) $(ASAN) -o $$@ $$^ $(3) -largon2 -lcrypto
hosted_sources += tests/fuzz/$(1).c
fuzz_targets += $(1)
$(B)/libfuzzer/$(1): $(patsubst %.c,$(B)/libfuzzer/obj/%.o,tests/fuzz/$(1).c $(2)) $(B)/lib/libkeyholt.a
	$$(call say,LD-FUZZ,$$@)clang -fsanitize=fuzzer,address,undefined -o $$@ $$^ $(3) -largon2 -lcrypto
endef
luks2_sources := $(filter formats/json% formats/luks2% formats/base.c formats/guid.c formats/text.c,$(formats_sources))
$(eval $(call fuzz,fuzz_formats,crypto/cursor.c $(filter-out formats/json% formats/luks2% formats/bitlocker%,$(formats_sources)) \
    $(filter-out formats/org_verify.c,$(formats_hosted_sources)),-ljson-c))
$(eval $(call fuzz,fuzz_luks2,tests/unit/luks2_image.c crypto/cursor.c $(luks2_sources)))
$(eval $(call fuzz,fuzz_policy,formats/policy.c formats/management.c formats/management_encode.c formats/key_package.c crypto/cursor.c formats/text.c \
    formats/json_grammar.c formats/json_string.c formats/json_walk.c formats/base.c formats/guid.c))
$(eval $(call fuzz,fuzz_luks2_image,tests/unit/luks2_image.c crypto/cursor.c $(luks2_sources)))
$(eval $(call fuzz,fuzz_bitlocker,$(bitlocker_image) $(bitlocker_sources) crypto/cursor.c formats/text.c formats/guid.c))
$(eval $(call fuzz,fuzz_org,formats/org.c formats/json_grammar.c formats/json_string.c formats/json_walk.c formats/base.c formats/guid.c formats/text.c))
-include $(shell find $(B)/asan -name '*.d' 2>/dev/null)
$(eval $(call fuzz,fuzz_efi_signature,crypto/cursor.c formats/pe_signature.c formats/efi_signature.c))
$(eval $(call fuzz,fuzz_outbox,crypto/cursor.c formats/outbox.c formats/outbox_answer.c formats/base.c formats/text.c))
