# SPDX-License-Identifier: GPL-3.0-or-later
# agent/: keeper, courier, hand-off helper and the command.
# the TPM; what needs tpm2-tss is a module of its own, which the keeper loads while it uses the TPM:
tpm_sources := agent/tpm/tpm.c agent/tpm/tpm_blob.c
tpm_esys_sources := $(addprefix agent/tpm/,tpm_esys.c tpm_esys_key.c tpm_esys_seal.c tpm_esys_state.c tpm_error.c)
tpm_libs := -ltss2-esys -ltss2-mu -ltss2-sys -ltss2-tctildr
all: $(B)/libexec/keyholt-tpm.so
tpm_module_objects := $(patsubst %.c,$(B)/pic/%.o,$(tpm_esys_sources) crypto/err.c crypto/secret.c crypto/host/file.c)
$(B)/pic/%.o: %.c Makefile
	$(call say,CC-PIC,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(filter-out -fPIE,$(HOSTED_CFLAGS)) -fPIC -fvisibility=hidden -c $< -o $@
$(B)/libexec/keyholt-tpm.so: $(tpm_module_objects)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -shared -Wl,-z,relro,-z,now,-z,defs,--as-needed -o $@ $^ $(tpm_libs) -lcrypto
-include $(tpm_module_objects:.o=.d)
# keeper; the table of protect's steps is a file of its own, because the crash test links another one:
keeper_core := $(addprefix agent/keeper/,keeper_main.c keeper.c keeper_clients.c keeper_reply.c verb_enroll.c \
    verb_protect.c verb_status.c tpm_back.c notice.c verb_sync.c receipt_wait.c verb_verify.c verb_courier.c \
    startup.c chores.c verb_export.c) agent/report/tpm_status.c agent/report/volume_status.c \
    agent/courier/courier_certificate.c \
    $(addprefix agent/boot/,used_wait.c privileged.c boot_event.c esp.c esp_app.c esp_file.c boot_entry.c efivar.c) \
    $(addprefix agent/volume/,discover.c protect.c rotate.c recover.c owned.c retire.c unnamed.c settle.c unlock.c \
    manage.c manage_again.c package.c management_key.c encrypted_place.c header_manage.c mirror.c mirror_gone.c \
    mirror_judge.c verify.c verify_all.c sight.c header.c header_room.c header_change.c disk_cryptsetup.c \
    disk_lock.c token_json.c) \
    $(addprefix agent/state/,records.c conf.c cache.c cache_db.c cache_rows.c cache_records.c cache_sets.c \
    cache_drafts.c agent.c org_store.c policy_store.c) \
    $(addprefix agent/sync/,identity.c enrollment.c sync.c sync_signed.c sync_audit.c sync_chain.c sync_known.c \
    sync_set.c sync_clock.c export.c import.c) agent/tpm/device_key.c agent/tpm/tpm_module.c $(tpm_sources) \
    agent/problem.c agent/msg.c agent/channel.c
# what there is in block devices; nothing of a device's content is read in the keeper but headers of volumes
keeper_core += $(addprefix agent/device/,inventory.c blockdev.c blockdev_query.c mounts.c classify.c \
    classify_stack.c prober.c probed.c device_io.c) \
    $(addprefix agent/report/,volume_list.c volume_state.c compliance.c report.c) agent/volume/seal.c \
    agent/volume/bitlocker_escrow.c agent/keeper/reporter.c \
    $(addprefix agent/boot/,boot_check.c boot_menu.c secure_boot.c)
keeper_libs := -Wl,-rpath,'$$$$ORIGIN' -lcryptsetup -lsqlite3 -ljson-c -lkeyutils -lcap -lefiboot -lefivar
$(eval $(call program,libexec/keeper,$(keeper_core) agent/volume/protect_table.c,$(keeper_libs)))
$(eval $(call program,libexec/probe,agent/msg.c agent/channel.c \
    $(addprefix agent/device/,probe.c probe_device.c probe_luks.c probe_bitlocker.c probe_sandbox.c probed.c \
    device_io.c),-lblkid -ljson-c -lseccomp -lcap))
doctor_sources := $(addprefix agent/command/,doctor.c doctor_system.c doctor_boot.c doctor_volumes.c)
command_sources := $(addprefix agent/command/,keyholt_agent.c command.c command_ask.c command_enroll.c \
    command_protect.c command_rotate.c command_status.c command_sync.c command_verify.c passphrase.c status_text.c \
    page.c command_export.c command_import.c command_token.c command_doctor.c doctor_facts.c command_recovery.c \
    command_unlock.c) agent/boot/handoff_entry.c agent/boot/efivar.c agent/msg.c agent/channel.c $(doctor_sources)
$(eval $(call program,bin/keyholt-agent,$(command_sources),-ljson-c))
# asks an existing token of a volume; started by the command:
$(eval $(call program,libexec/unlock,agent/volume/unlock_token.c agent/volume/unlock_clevis.c,-lcryptsetup -ljson-c))
$(eval $(call unit,test_unlock_clevis,agent/volume/unlock_clevis.c,-ljson-c))
# tests/agent/: what can be read with the volume locked
$(eval $(call program,tests/judge,tests/agent/judge.c,-lcryptsetup -ljson-c))
# tests/agent/test_crash.py: kills the keeper at a chosen write, and a keeper whose table is in the wrong order
$(eval $(call program,tests/keeper-wrong-table,$(keeper_core) tests/agent/wrong_table.c,$(keeper_libs)))
# tests/agent/test_rotate_attacked.py: another program comes in between
all: $(B)/tests/crash_shim.so $(B)/tests/rival_shim.so $(B)/tests/clock_shim.so $(B)/tests/cryptsetup_shim.so
$(B)/tests/%_shim.so: tests/agent/%_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(filter-out $(ASAN),$(CFLAGS)) -fPIC $(WARN) -shared -o $@ $< -ldl
# tests/agent/test_tpm.py: the TPM without a keeper
$(eval $(call program,tests/tpm_tool,tests/agent/tpm_tool.c $(tpm_sources) $(tpm_esys_sources),$(tpm_libs)))
$(eval $(call unit,test_tpm,tests/unit/fake_tpm.c $(tpm_sources) agent/tpm/tpm_error.c,))
$(eval $(call unit,test_device_key,tests/unit/fake_tpm.c agent/tpm/device_key.c $(tpm_sources),))
$(eval $(call fuzz,fuzz_tpm_blob,agent/tpm/tpm_blob.c crypto/cursor.c))
$(eval $(call unit,test_agent_msg,agent/msg.c agent/channel.c,))
$(eval $(call unit,test_agent_conf,agent/state/conf.c agent/problem.c,))
$(eval $(call unit,test_agent_sync,agent/msg.c $(tpm_sources) tests/unit/fake_tpm.c \
    $(addprefix agent/sync/,export.c identity.c sync_set.c sync_clock.c) \
    $(addprefix agent/state/,records.c cache.c cache_db.c cache_rows.c cache_records.c cache_sets.c cache_drafts.c) \
    agent/tpm/device_key.c agent/volume/seal.c agent/problem.c agent/state/org_store.c,-lsqlite3))
$(eval $(call unit,test_sync_audit,agent/sync/sync_audit.c agent/sync/sync_chain.c \
    $(addprefix agent/state/,cache.c cache_db.c cache_rows.c cache_records.c cache_sets.c cache_drafts.c),-lsqlite3))
$(foreach t,test_agent_cache test_cache_orders,$(eval $(call unit,$(t),$(addprefix agent/state/,cache.c cache_db.c cache_rows.c \
    cache_records.c cache_sets.c cache_drafts.c),-lsqlite3)))
$(eval $(call unit,test_classify,$(addprefix agent/device/,classify.c classify_stack.c blockdev.c blockdev_query.c \
    mounts.c),))
$(eval $(call unit,test_blockdev,agent/device/blockdev.c agent/device/blockdev_query.c agent/device/mounts.c,))
$(eval $(call fuzz,fuzz_volumes,agent/device/probed.c agent/device/mounts.c agent/device/blockdev_query.c formats/luks1.c crypto/cursor.c \
    formats/text.c formats/guid.c formats/host/json_strict.c,-ljson-c))
$(eval $(call unit,test_probed,agent/device/probed.c,-ljson-c))
$(eval $(call unit,test_compliance,agent/report/compliance.c,))
$(eval $(call unit,test_page,agent/command/page.c,))
$(eval $(call unit,test_doctor,$(doctor_sources),-ljson-c))
$(eval $(call unit,test_boot_entry,agent/boot/boot_entry.c agent/boot/efivar.c,-lefiboot -lefivar))
# courier and hand-off:
handoff_sources := $(addprefix agent/boot/,handoff.c handoff_open.c handoff_offer.c handoff_entry.c handoff_volume.c \
    handoff_disk.c handoff_add.c secure_boot.c efivar.c)
$(eval $(call program,libexec/handoff,$(handoff_sources),-lcryptsetup -lkeyutils -ljson-c -lblkid))
$(eval $(call unit,test_handoff_add,agent/boot/handoff_add.c agent/boot/handoff_entry.c agent/boot/efivar.c,-lefiboot -lefivar))
# what waits, and what goes:
$(eval $(call program,libexec/courier,agent/msg.c agent/channel.c \
    $(addprefix agent/courier/,courier.c courier_talk.c courier_schedule.c courier_servers.c courier_child.c courier_sandbox.c),-lseccomp))
errand_sources := $(addprefix agent/courier/,errand_post.c errand_http.c errand_patience.c errand_json.c \
    errand_gzip.c errand_identity.c)
$(eval $(call program,libexec/errand,agent/courier/errand.c $(errand_sources) agent/courier/courier_sandbox.c agent/msg.c \
    agent/channel.c,-lcurl -ljson-c -lz -lssl -lseccomp))
$(eval $(call unit,test_courier_schedule,agent/courier/courier_schedule.c agent/courier/courier_servers.c agent/courier/errand_patience.c \
    agent/msg.c,))
$(eval $(call unit,test_settle,agent/volume/settle.c,))
# the keeper's work on a volume, over the fake edges:
cache_sources := $(addprefix agent/state/,cache.c cache_db.c cache_rows.c cache_records.c cache_sets.c \
    cache_drafts.c)
volume_work := $(addprefix agent/volume/,protect.c rotate.c recover.c owned.c retire.c unnamed.c settle.c unlock.c \
    manage.c manage_again.c package.c management_key.c mirror.c mirror_gone.c mirror_judge.c verify.c seal.c \
    token_json.c header.c header_change.c header_room.c header_manage.c) agent/state/records.c \
    agent/state/org_store.c agent/tpm/device_key.c agent/problem.c $(cache_sources) $(tpm_sources)
fake_volume := tests/unit/fake_disk.c tests/unit/fake_disk_outside.c tests/unit/fake_disk_json.c tests/unit/luks2_image.c \
    tests/unit/fake_tpm.c tests/unit/fake_keeper.c tests/unit/fake_keeper_look.c
$(eval $(call unit,test_disk_faults,$(volume_work) agent/volume/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_wrong_order,$(volume_work) tests/agent/wrong_table.c $(fake_volume),-lsqlite3 -ljson-c))
# and the exchange with a server; the cache's half, the errand's, and a fake server
sync_work := $(addprefix agent/sync/,sync.c sync_signed.c sync_audit.c sync_chain.c sync_known.c sync_set.c \
    sync_clock.c) agent/state/policy_store.c \
    $(addprefix agent/courier/,errand_post.c errand_json.c errand_gzip.c)
exchange := $(volume_work) agent/volume/protect_table.c $(fake_volume) $(sync_work) agent/msg.c tests/unit/fake_server.c tests/unit/exchange.c
$(eval $(call unit,test_sync_exchange,$(exchange),-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_sync_hostile,$(exchange),-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_sync_orders,$(exchange),-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_import,$(exchange) $(addprefix agent/sync/,import.c export.c identity.c),-lsqlite3 -ljson-c -lz))
$(eval $(call unit,test_disk_tokens,$(volume_work) agent/volume/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_kept,$(volume_work) agent/volume/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_header,$(volume_work) agent/volume/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_clock,$(volume_work) agent/volume/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_flips,$(volume_work) $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call unit,test_disk_others,$(volume_work) agent/volume/protect_table.c $(fake_volume),-lsqlite3 -ljson-c))
$(eval $(call fuzz,fuzz_courier,agent/courier/errand_json.c agent/state/conf.c agent/problem.c agent/msg.c crypto/cursor.c formats/base.c \
    formats/host/json_strict.c,-ljson-c))
# tests/agent/test_existing_token.py: a plugin for tokens of type systemd-tpm2 that needs no TPM
all: $(B)/tests/libcryptsetup-token-systemd-tpm2.so
$(B)/tests/libcryptsetup-token-systemd-tpm2.so: tests/agent/token_plugin.c tests/agent/token_plugin.map Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) -fPIC $(WARN) -shared \
	    -Wl,--version-script=tests/agent/token_plugin.map -o $@ $< -ljson-c -lcryptsetup
