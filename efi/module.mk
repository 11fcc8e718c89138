# SPDX-License-Identifier: GPL-3.0-or-later
# efi/: keyholt-recovery.efi. Pure logic, also built hosted for its unit tests:
efi_pure_sources := efi/keymap.c efi/model.c efi/model_entry.c efi/model_pages.c efi/sentence.c efi/characters.c efi/content.c efi/plan.c efi/facts.c \
    efi/tones.c efi/file_system.c efi/bls.c \
    efi/walk.c efi/copy_name.c efi/copy_plan.c efi/copy_batch.c efi/copy_folders.c efi/copy_notes.c efi/copy_file.c efi/copy.c \
    efi/page.c efi/copy_list.c efi/copy_pages.c efi/copy_result.c
# Firmware protocols, screen looks, flow:
efi_sources := $(efi_pure_sources) efi/libc.c efi/firmware.c efi/random.c efi/files.c efi/disk.c efi/partition.c \
    efi/plain.c efi/publish.c efi/volumes.c efi/open.c efi/variables.c efi/device_path.c efi/load_option.c \
    efi/boot_list.c efi/boot_next.c efi/stick.c efi/started.c efi/keyboard.c efi/speaker.c efi/font.c efi/glyph.c efi/canvas.c efi/qr.c \
    efi/screen.c efi/console.c efi/screen_text.c \
    efi/gop_look.c efi/gop_words.c efi/gop_boxes.c efi/screen_gop.c efi/unlock.c efi/app.c efi/startup.c \
    efi/opened.c efi/leave.c \
    efi/gop_page.c efi/text_page.c efi/tree_efi.c efi/copy_stick.c efi/drivers.c efi/copy_transfer.c efi/copy_screen.c efi/main.c
efi_objects := $(patsubst %.c,$(B)/efi/obj/%.o,$(efi_sources))
EFI_MAX_BYTES := 409600

# Theirs is compiled with our flags but for the warnings.
$(B)/efi/qrcodegen.o: $(B)/src/qrcodegen/.complete Makefile
	$(call say,CC-EFI,qrcodegen.c)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(EFI_CFLAGS) -w -DNDEBUG -c $(qrcodegen_src)/qrcodegen.c -o $@
$(B)/efi/obj/efi/qr.o: CPPFLAGS += -isystem $(qrcodegen_src)
$(B)/efi/obj/efi/qr.o: $(B)/src/qrcodegen/.complete

# $(call efi_app,target,objects): ld -shared does not fail on undefined symbols, so the list of them is checked.
# crt0 and the relocator come from gnu-efi, everything else is ours.
define efi_app
$(1:.efi=.so): $(2) $(B)/lib/libkeyholt-efi.a
	$$(call say,LD-EFI,$$@)mkdir -p $$(@D) && $$(LD) -nostdlib -znocombreloc -shared -Bsymbolic \
	    -T /usr/lib/elf_x86_64_efi.lds /usr/lib/crt0-efi-x86_64.o $(2) $(B)/lib/libkeyholt-efi.a -L/usr/lib -lgnuefi -o $$@
	$$(Q)if [ -n "$$$$(nm -u $$@)" ]; then nm -u $$@ >&2; echo "$$@: undefined symbols" >&2; rm -f $$@; exit 1; fi
$(1): $(1:.efi=.so)
	$$(call say,EFI,$$@)mkdir -p $$(@D) && objcopy -j .text -j .sbat -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym \
	    -j .rel -j .rela -j '.rel.*' -j '.rela.*' -j .reloc --target efi-app-x86_64 --subsystem=10 $$< $$@ && efi/nx_compat $$@
	$$(Q)size=$$$$(stat -c %s $$@); if [ $$$$size -gt $(EFI_MAX_BYTES) ]; then \
	    echo "$$@: $$$$size bytes, at most $(EFI_MAX_BYTES)" >&2; rm -f $$@; exit 1; fi
endef
all: $(B)/bin/keyholt-recovery.efi
$(B)/bin/keyholt-recovery.efi: $(B)/efi/keyholt-recovery.efi
	$(Q)mkdir -p $(@D) && cp $< $@
$(eval $(call efi_app,$(B)/efi/keyholt-recovery.efi,$(efi_objects) $(B)/efi/qrcodegen.o $(B)/efi/sbat.o))
$(B)/efi/sbat.o: efi/sbat.S Makefile
	$(call say,AS-EFI,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -c $< -o $@

# make sign KEY=db.key CERT=db.pem: for Secure Boot (docs/secure-boot.md)
.PHONY: sign
sign: $(B)/bin/keyholt-recovery.efi
	$(Q)[ -n "$(KEY)" ] && [ -n "$(CERT)" ] || { echo "usage: make sign KEY=FILE CERT=FILE (PEM)" >&2; exit 2; }
	$(call say,SIGN,$(B)/bin/keyholt-recovery.signed.efi)sbsign --key "$(KEY)" --cert "$(CERT)" \
	    --output $(B)/bin/keyholt-recovery.signed.efi $< >/dev/null 2>$(B)/sign.log || { cat $(B)/sign.log >&2; exit 1; }
	$(Q)sbverify --cert "$(CERT)" $(B)/bin/keyholt-recovery.signed.efi >/dev/null

# What the tests start after the app: it prints what was handed to it.
all: $(B)/tests/next_stage.efi
$(eval $(call efi_app,$(B)/tests/next_stage.efi,$(patsubst %.c,$(B)/efi/obj/%.o,tests/efi/next_stage.c \
    efi/libc.c efi/firmware.c efi/files.c efi/device_path.c efi/plain.c efi/publish.c efi/disk.c efi/file_system.c efi/sentence.c)))

# A next stage that does not stay.
all: $(B)/tests/leaves.efi
$(eval $(call efi_app,$(B)/tests/leaves.efi,$(patsubst %.c,$(B)/efi/obj/%.o,tests/efi/leaves.c efi/libc.c efi/firmware.c)))

# The largest screen; a machine without memory to spare.
all: $(B)/tests/launch.efi
$(eval $(call efi_app,$(B)/tests/launch.efi,$(patsubst %.c,$(B)/efi/obj/%.o,tests/efi/launch.c efi/libc.c efi/firmware.c \
    efi/device_path.c efi/files.c efi/sentence.c)))

# What the bench compares with.
all: $(B)/tests/speed.efi
$(eval $(call efi_app,$(B)/tests/speed.efi,$(patsubst %.c,$(B)/efi/obj/%.o,tests/efi/speed.c efi/libc.c efi/firmware.c)))

# Every primitive of the firmware back end, in firmware.
all: $(B)/tests/crypto_check.efi
$(eval $(call efi_app,$(B)/tests/crypto_check.efi,$(patsubst %.c,$(B)/efi/obj/%.o,tests/efi/crypto_check.c efi/libc.c efi/firmware.c)))

$(eval $(call unit,test_efi_model,$(efi_pure_sources)))
$(eval $(call unit,test_efi_content,$(efi_pure_sources)))
$(eval $(call unit,test_efi_plan,$(efi_pure_sources)))
$(eval $(call unit,test_efi_facts,$(efi_pure_sources)))
$(eval $(call unit,test_efi_copy_name,$(efi_pure_sources)))
$(eval $(call unit,test_efi_copy_pages,$(efi_pure_sources) tests/unit/fake_tree.c))
$(eval $(call unit,test_efi_copy,$(efi_pure_sources) tests/unit/fake_tree.c))
# $(eval $(call fuzz,…)) is defined in formats/module.mk
$(eval $(call fuzz,fuzz_app,$(efi_pure_sources) formats/recovery_password.c formats/qr_text.c formats/base.c formats/guid.c \
    formats/envelope.c formats/luks2_names.c crypto/cursor.c crypto/secret.c crypto/err.c))
