# SPDX-License-Identifier: GPL-3.0-or-later
# agent/: keeper, courier, hand-off helper and the command.
# the TPM; what needs tpm2-tss is a module of its own, which the keeper loads while it uses the TPM:
tpm_sources := agent/tpm.c agent/tpm_blob.c
tpm_esys_sources := agent/tpm_esys.c agent/tpm_esys_key.c agent/tpm_esys_seal.c agent/tpm_esys_state.c agent/tpm_error.c
tpm_libs := -ltss2-esys -ltss2-mu -ltss2-sys -ltss2-tctildr
all: $(B)/libexec/keyholt-tpm.so
tpm_module_objects := $(patsubst %.c,$(B)/pic/%.o,$(tpm_esys_sources) crypto/err.c crypto/secret.c crypto/host/file.c)
$(B)/pic/%.o: %.c Makefile
	$(call say,CC-PIC,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(filter-out -fPIE,$(HOSTED_CFLAGS)) -fPIC -fvisibility=hidden -c $< -o $@
$(B)/libexec/keyholt-tpm.so: $(tpm_module_objects)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -shared -Wl,-z,relro,-z,now,-z,defs,--as-needed -o $@ $^ $(tpm_libs) -lcrypto
-include $(tpm_module_objects:.o=.d)
# keeper; the table of protect's steps is a file of its own, because the crash test links another one:
keeper_core := agent/keeper_main.c agent/keeper.c agent/keeper_clients.c agent/keeper_reply.c agent/verb_enroll.c agent/verb_protect.c \
    agent/verb_status.c agent/tpm_status.c agent/tpm_back.c agent/notice.c agent/verb_sync.c agent/receipt_wait.c agent/verb_verify.c agent/volume_status.c agent/verb_courier.c agent/courier_certificate.c agent/startup.c agent/used_wait.c agent/privileged.c agent/boot_event.c agent/discover.c \
    agent/protect.c agent/rotate.c agent/recover.c agent/owned.c agent/retire.c agent/unnamed.c agent/settle.c agent/unlock.c \
    agent/manage.c agent/manage_again.c agent/package.c agent/management_key.c agent/encrypted_place.c agent/header_manage.c \
    agent/mirror.c agent/mirror_judge.c agent/verify.c agent/verify_all.c agent/sight.c agent/chores.c agent/records.c agent/identity.c agent/enrollment.c agent/sync.c agent/sync_signed.c agent/sync_audit.c agent/sync_chain.c agent/sync_known.c \
    agent/sync_set.c agent/sync_clock.c agent/conf.c agent/export.c agent/import.c agent/verb_export.c \
    agent/esp.c agent/esp_app.c agent/esp_file.c agent/boot_entry.c agent/efivar.c agent/header.c agent/header_room.c \
    agent/header_change.c agent/disk_cryptsetup.c agent/disk_lock.c agent/token_json.c agent/cache.c agent/cache_db.c agent/cache_rows.c agent/cache_records.c agent/cache_sets.c agent/cache_drafts.c agent/agent.c \
    agent/device_key.c $(tpm_sources) agent/tpm_module.c agent/org_store.c agent/policy_store.c agent/problem.c agent/msg.c agent/channel.c
# what there is in block devices; nothing of a device's content is read in the keeper but headers of volumes
keeper_core += agent/inventory.c agent/blockdev.c agent/blockdev_query.c agent/mounts.c agent/classify.c \
    agent/classify_stack.c agent/prober.c agent/probed.c agent/device_io.c agent/volume_list.c agent/volume_state.c agent/compliance.c \
    agent/seal.c agent/bitlocker_escrow.c agent/report.c agent/reporter.c \
    agent/boot_check.c agent/boot_menu.c agent/secure_boot.c
keeper_libs := -Wl,-rpath,'$$$$ORIGIN' -lcryptsetup -lsqlite3 -ljson-c -lkeyutils -lcap -lefiboot -lefivar
$(eval $(call program,libexec/keeper,$(keeper_core) agent/protect_table.c,$(keeper_libs)))
$(eval $(call program,libexec/probe,agent/probe.c agent/probe_device.c agent/probe_luks.c agent/probe_bitlocker.c \
    agent/probe_sandbox.c agent/probed.c agent/device_io.c agent/msg.c agent/channel.c,-lblkid -ljson-c -lseccomp -lcap))
doctor_sources := agent/doctor.c agent/doctor_system.c agent/doctor_boot.c agent/doctor_volumes.c
command_sources := agent/keyholt_agent.c agent/command.c agent/command_ask.c agent/command_enroll.c \
    agent/command_protect.c agent/command_rotate.c agent/command_status.c agent/command_sync.c \
    agent/command_verify.c agent/passphrase.c agent/status_text.c agent/page.c agent/msg.c \
    agent/channel.c agent/command_export.c agent/command_import.c agent/command_token.c $(doctor_sources) \
    agent/command_doctor.c agent/doctor_facts.c agent/command_recovery.c agent/command_unlock.c agent/handoff_entry.c agent/efivar.c
$(eval $(call program,bin/keyholt-agent,$(command_sources),-ljson-c))
# asks an existing token of a volume; started by the command:
$(eval $(call program,libexec/unlock,agent/unlock_token.c agent/unlock_clevis.c,-lcryptsetup -ljson-c))
$(eval $(call unit,test_unlock_clevis,agent/unlock_clevis.c,-ljson-c))
# tests/agent/: what can be read with the volume locked
$(eval $(call program,tests/judge,tests/agent/judge.c,-lcryptsetup -ljson-c))
# tests/agent/test_crash.py: kills the keeper at a chosen write, and a keeper whose table is in the wrong order
$(eval $(call program,tests/keeper-wrong-table,$(keeper_core) tests/agent/wrong_table.c,$(keeper_libs)))
# tests/agent/test_rotate_attacked.py: another program comes in between
all: $(B)/tests/crash_shim.so $(B)/tests/rival_shim.so $(B)/tests/clock_shim.so $(B)/tests/cryptsetup_shim.so
$(B)/tests/%_shim.so: tests/agent/%_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) -fPIC $(WARN) -shared -o $@ $< -ldl
# tests/agent/test_tpm.py: the TPM without a keeper
$(eval $(call program,tests/tpm_tool,tests/agent/tpm_tool.c $(tpm_sources) $(tpm_esys_sources),$(tpm_libs)))
$(eval $(call unit,test_tpm,tests/unit/fake_tpm.c $(tpm_sources) agent/tpm_error.c,))
$(eval $(call unit,test_device_key,tests/unit/fake_tpm.c agent/device_key.c $(tpm_sources),))
$(eval $(call fuzz,fuzz_tpm_blob,agent/tpm_blob.c crypto/cursor.c))
$(eval $(call unit,test_agent_msg,agent/msg.c agent/channel.c,))
$(eval $(call unit,test_agent_conf,agent/conf.c agent/problem.c,))
$(eval $(call unit,test_agent_sync,agent/export.c agent/msg.c agent/sync_set.c agent/sync_clock.c agent/records.c agent/cache.c agent/cache_db.c \
    agent/cache_rows.c agent/cache_records.c agent/cache_sets.c agent/cache_drafts.c agent/device_key.c $(tpm_sources) tests/unit/fake_tpm.c,-lsqlite3))
$(eval $(call unit,test_sync_audit,agent/sync_audit.c agent/sync_chain.c agent/cache.c agent/cache_db.c agent/cache_rows.c agent/cache_records.c agent/cache_sets.c agent/cache_drafts.c,-lsqlite3))
$(eval $(call unit,test_agent_cache,agent/cache.c agent/cache_db.c agent/cache_rows.c agent/cache_records.c agent/cache_sets.c agent/cache_drafts.c,-lsqlite3))
$(eval $(call unit,test_classify,agent/classify.c agent/classify_stack.c agent/blockdev.c agent/blockdev_query.c \
    agent/mounts.c,))
$(eval $(call unit,test_blockdev,agent/blockdev.c agent/blockdev_query.c agent/mounts.c,))
$(eval $(call fuzz,fuzz_volumes,agent/probed.c agent/mounts.c agent/blockdev_query.c formats/luks1.c crypto/cursor.c \
    formats/text.c formats/guid.c formats/host/json_strict.c,-ljson-c))
$(eval $(call unit,test_probed,agent/probed.c,-ljson-c))
$(eval $(call unit,test_compliance,agent/compliance.c,))
$(eval $(call unit,test_page,agent/page.c,))
$(eval $(call unit,test_doctor,$(doctor_sources),-ljson-c))
$(eval $(call unit,test_boot_entry,agent/boot_entry.c agent/efivar.c,-lefiboot -lefivar))
# courier and hand-off:
handoff_sources := agent/handoff.c agent/handoff_open.c agent/handoff_offer.c agent/handoff_entry.c \
    agent/handoff_volume.c agent/handoff_disk.c agent/handoff_add.c agent/secure_boot.c agent/efivar.c
$(eval $(call program,libexec/handoff,$(handoff_sources),-lcryptsetup -lkeyutils -ljson-c -lblkid))
$(eval $(call unit,test_handoff_add,agent/handoff_add.c agent/handoff_entry.c agent/efivar.c,-lefiboot -lefivar))
# what waits, and what goes:
$(eval $(call program,libexec/courier,agent/courier.c agent/courier_schedule.c agent/courier_servers.c \
    agent/courier_child.c agent/courier_sandbox.c agent/msg.c agent/channel.c,-lseccomp))
errand_sources := agent/errand_post.c agent/errand_http.c agent/errand_patience.c agent/errand_json.c agent/errand_gzip.c \
    agent/errand_identity.c
$(eval $(call program,libexec/errand,agent/errand.c $(errand_sources) agent/courier_sandbox.c agent/msg.c \
    agent/channel.c,-lcurl -ljson-c -lz -lssl -lseccomp))
$(eval $(call unit,test_courier_schedule,agent/courier_schedule.c agent/courier_servers.c agent/errand_patience.c \
    agent/msg.c,))
$(eval $(call unit,test_settle,agent/settle.c,))
# the keeper's work on a volume, over the fake edges:
cache_sources := agent/cache.c agent/cache_db.c agent/cache_rows.c agent/cache_records.c agent/cache_sets.c agent/cache_drafts.c
volume_work := agent/protect.c agent/rotate.c agent/recover.c agent/owned.c agent/retire.c agent/unnamed.c agent/settle.c \
    agent/unlock.c agent/manage.c agent/manage_again.c agent/package.c agent/management_key.c agent/mirror.c agent/mirror_judge.c agent/verify.c \
    agent/records.c agent/seal.c agent/org_store.c agent/token_json.c agent/problem.c agent/header.c agent/header_change.c \
    agent/header_room.c agent/header_manage.c agent/device_key.c $(cache_sources) $(tpm_sources)
fake_volume := tests/unit/fake_disk.c tests/unit/fake_disk_outside.c tests/unit/fake_disk_json.c tests/unit/luks2_image.c \
    tests/unit/fake_tpm.c tests/unit/fake_keeper.c tests/unit/fake_keeper_look.c
$(eval $(call unit,test_disk_faults,$(volume_work) agent/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_wrong_order,$(volume_work) tests/agent/wrong_table.c $(fake_volume),-lsqlite3 -ljson-c))
# and the exchange with a server; the cache's half, the errand's, and a fake server
sync_work := agent/sync.c agent/sync_signed.c agent/sync_audit.c agent/sync_chain.c agent/sync_known.c agent/sync_set.c agent/sync_clock.c agent/policy_store.c agent/errand_post.c \
    agent/errand_json.c agent/errand_gzip.c
exchange := $(volume_work) agent/protect_table.c $(fake_volume) $(sync_work) agent/msg.c tests/unit/fake_server.c tests/unit/exchange.c
$(eval $(call unit,test_sync_exchange,$(exchange),-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_sync_hostile,$(exchange),-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_import,$(exchange) agent/import.c agent/export.c,-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_disk_tokens,$(volume_work) agent/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_header,$(volume_work) agent/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_others,$(volume_work) agent/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call fuzz,fuzz_courier,agent/errand_json.c agent/conf.c agent/problem.c agent/msg.c crypto/cursor.c formats/base.c \
    formats/host/json_strict.c,-ljson-c))
# tests/agent/test_existing_token.py: a plugin for tokens of type systemd-tpm2 that needs no TPM
all: $(B)/tests/libcryptsetup-token-systemd-tpm2.so
$(B)/tests/libcryptsetup-token-systemd-tpm2.so: tests/agent/token_plugin.c tests/agent/token_plugin.map Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) -fPIC $(WARN) -shared \
	    -Wl,--version-script=tests/agent/token_plugin.map -o $@ $< -ljson-c -lcryptsetup
