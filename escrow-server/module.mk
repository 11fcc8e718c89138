# SPDX-License-Identifier: GPL-3.0-or-later
# make MALLOC=jemalloc: web, writer and reader with that allocator (libjemalloc-dev); measure first, docs/architecture.md has figures
server_malloc := $(if $(MALLOC),-Wl$(comma)--no-as-needed -l$(MALLOC))
# escrow-server/: the command (its verbs and the supervisor) and the processes that it starts.
server_child := $(addprefix escrow-server/process/,child.c child_listen.c control.c slog.c chan.c msg_piece.c \
    msg_store.c msg_devices.c msg_vault.c msg_loss.c passphrase.c metrics.c revoked.c) escrow-server/places.c escrow-server/conf_table.c \
    escrow-server/state.c
# PKCS#11 tokens through p11-kit, in the two programs that may meet one
escrow_key := escrow-server/vault/escrow_key.c crypto/pkcs11/p256_token.c
$(B)/obj/crypto/pkcs11/%.o: CPPFLAGS += -isystem /usr/include/p11-kit-1

server_store := $(addprefix escrow-server/store/,store_sqlite.c store_sqlite_migrate.c store_sqlite_tx.c store.c store_query.c store_devices.c store_flags.c \
    store_records.c store_find.c store_uncertain.c store_retain.c sql_sqlite.c sql_sqlite_schema.c cwd_vfs.c store_pg.c \
    store_pg_connect.c store_pg_wire.c store_pg_tx.c store_pg_ahead.c store_ahead.c sql_pg.c sql_pg_schema.c)
server_store_libs := -lsqlite3 -lpq -pthread

$(eval $(call program,bin/keyholt-server,escrow-server/places.c escrow-server/conf_table.c escrow-server/pki.c escrow-server/pki_read.c \
    escrow-server/state.c $(escrow_key) $(server_store) \
    $(addprefix escrow-server/verb/,main.c options.c verb_init.c setup_keys.c setup_places.c setup_state.c setup_org.c \
    verb_approve.c verb_serve.c verb_recover.c verb_audit.c verb_audit_erase.c verb_audit_losses.c \
    verb_audit_begin.c verb_audit_export.c verb_user.c verb_token.c state_store.c state_backup.c verb_backup.c \
    verb_restore.c verb_verify.c verify_receipts.c verb_move.c verb_retain.c verb_import.c verb_keys.c verb_check_config.c config_page.c answer_guard.c \
    verb_device.c verb_device_flags.c verb_policy.c verb_org.c org_text.c org_file.c org_change.c org_keys.c org_show.c org_set.c answer.c ask.c config_check.c utc.c) \
    $(addprefix escrow-server/process/,slog.c address.c listen.c supervise.c supervise_spawn.c supervise_connect.c control.c local.c listen_given.c metrics.c \
    quiet.c passphrase.c) escrow-server/vault/people.c escrow-server/vault/totp.c escrow-server/web/tls_sessions.c \
    $(addprefix escrow-server/audit/,audit_view.c audit_reading.c audit_gaps.c audit_import.c) \
    $(addprefix escrow-server/store/,store_rows.c store_check.c sql_tables.c),-ljson-c -lcrypt -lp11-kit $(server_store_libs)))

$(eval $(call program,libexec/web,$(server_child) escrow-server/process/quiet.c escrow-server/pki.c escrow-server/pki_read.c \
    $(addprefix escrow-server/web/,web_main.c web_back.c web_replay.c web_tls.c tls_provider.c tls_kdf.c tls_random.c tls_hold.c tls_hmac.c tls_x25519.c tls_spki.c \
    tls_sessions.c tls_resume.c web_courier.c web_conn.c web_doors.c web_room.c web_peers.c peer_key.c web_body.c web_http.c web_gzip.c web_enroll.c enroll_read.c web_sync.c \
    sync_read.c sync_answer.c web_quiet.c web_health.c \
    web_vault.c web_losses.c web_heads.c web_revoked.c web_local.c web_local_read.c web_local_answer.c web_local_ops.c web_local_approve.c web_outbox.c web_devices.c web_flags.c \
    web_refuse.c http_guard.c web_metrics.c web_org.c web_shed.c web_recover.c \
    one_thread.c) \
    escrow-server/process/metrics_text.c,-levent_openssl -levent_core -levent_extra -ljson-c -lssl -lz $(server_malloc)))

$(eval $(call program,libexec/writer,$(server_child) escrow-server/pki.c escrow-server/pki_read.c $(server_store) \
    escrow-server/process/webs.c escrow-server/process/quiet.c \
    $(addprefix escrow-server/writer/,writer_main.c writer_batch.c writer_sync.c writer_store.c writer_turn.c writer_records.c writer_chain.c writer_synced.c writer_enroll.c \
    writer_disclosed.c writer_orders.c writer_seen.c writer_devices.c writer_loss.c writer_uncertain.c writer_take_back.c),$(server_store_libs) $(server_malloc)))

$(eval $(call program,libexec/reader,$(server_child) $(server_store) escrow-server/process/webs.c \
    $(addprefix escrow-server/writer/,reader_main.c reader_answer.c reader_sweep.c reader_revoked.c),$(server_store_libs) $(server_malloc)))

server_vault := $(server_child) $(escrow_key) $(addprefix escrow-server/vault/,vault_main.c vault_take.c vault_keys.c \
    vault_state.c vault_memory.c vault_head.c vault_loss.c vault_foreign.c vault_erase.c vault_export.c vault_log.c \
    vault_person.c vault_disclose.c vault_refuse.c vault_approval.c vault_age.c vault_code.c people.c totp.c)
server_vault_libs := -ljson-c -lcrypt -lseccomp -lp11-kit
$(eval $(call program,libexec/vault,$(server_vault) escrow-server/vault/vault_seccomp.c,$(server_vault_libs)))

$(eval $(call program,libexec/export,$(server_child) escrow-server/process/address.c \
    $(addprefix escrow-server/export/,export_main.c export_target.c export_form.c export_syslog.c),-ljson-c))

# tests/server/test_killed.py: stops the writer between a record and its receipt
all: $(B)/tests/kill_shim.so
$(B)/tests/kill_shim.so: tests/server/kill_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(filter-out $(ASAN),$(CFLAGS)) -fPIC $(WARN) -shared -o $@ $< -ldl

# tests/server/test_durable.py: looks at what leaves writer and vault, and at what was synced before
all: $(B)/tests/durable_shim.so
durable_shim := tests/server/durable_shim.c $(addprefix escrow-server/process/,msg_piece.c msg_store.c msg_devices.c msg_vault.c msg_loss.c) \
    crypto/cursor.c
$(B)/tests/durable_shim.so: $(durable_shim) Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(filter-out $(ASAN),$(CFLAGS)) -fPIC $(WARN) -shared -Wl,-Bsymbolic \
	    -Wl,-z,defs -o $@ $(durable_shim) -ldl

# Makes what a device would say, for tests/server/test_server.py
$(eval $(call program,tests/record_tool,tests/server/record_tool.c,))
# Makes mistakes, for tests/server/test_sanitized.py
$(eval $(call program,tests/broken,tests/server/broken.c,))
# Leaks wherever it is loaded
all: $(B)/tests/leak_shim.so
$(B)/tests/leak_shim.so: tests/server/leak_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(filter-out $(ASAN),$(CFLAGS)) -fPIC $(WARN) -shared -o $@ $<
# A vault in which leaks can be looked for
$(eval $(call program,tests/vault_unconfined,$(server_vault) tests/server/vault_unconfined.c,$(server_vault_libs)))

server_messages := $(addprefix escrow-server/process/,msg_piece.c msg_store.c msg_devices.c msg_vault.c msg_loss.c)
$(eval $(call unit,test_server_msg,$(server_messages),))
$(eval $(call unit,test_server_chan,escrow-server/process/chan.c $(server_messages),))
$(eval $(call unit,test_export_form,escrow-server/export/export_form.c,-ljson-c))
$(foreach t,records turns find orders uncertain devices retention durable,$(eval $(call unit,test_store_$(t),tests/unit/store_fixture.c \
    $(server_store) escrow-server/process/slog.c,$(server_store_libs))))
$(foreach t,test_server_migrate test_server_migrate_disk,$(eval $(call unit,$(t),tests/unit/migrate_fixture.c $(server_store) \
    escrow-server/process/slog.c,$(server_store_libs))))
$(eval $(call unit,test_server_sqlite,$(server_store) escrow-server/process/slog.c,$(server_store_libs)))
$(eval $(call unit,test_server_people,escrow-server/vault/people.c escrow-server/vault/totp.c escrow-server/verb/options.c escrow-server/places.c escrow-server/conf_table.c,\
    -ljson-c -lcrypt))
$(foreach t,batch sync enroll uncertain take_back orders quiet,$(eval $(call unit,test_writer_$(t),tests/unit/writer_fixture.c \
    escrow-server/pki.c escrow-server/pki_read.c $(server_store) \
    $(addprefix escrow-server/writer/,writer_batch.c writer_sync.c writer_store.c writer_turn.c writer_records.c writer_chain.c writer_synced.c writer_enroll.c writer_disclosed.c writer_orders.c \
    writer_seen.c writer_devices.c writer_loss.c writer_uncertain.c writer_take_back.c) \
    $(addprefix escrow-server/process/,webs.c quiet.c child_listen.c control.c metrics.c chan.c msg_piece.c msg_store.c \
    msg_devices.c msg_vault.c msg_loss.c slog.c),$(server_store_libs) $(if $(filter batch,$(t)),-Wl$(comma)--wrap=clock_gettime))))

$(eval $(call unit,test_vault_loss,$(addprefix escrow-server/,vault/vault_loss.c vault/vault_refuse.c process/metrics.c process/slog.c),))
$(eval $(call unit,test_vault_clock,$(addprefix escrow-server/vault/,vault_memory.c vault_age.c vault_code.c vault_refuse.c vault_approval.c totp.c) escrow-server/process/metrics.c \
    escrow-server/process/slog.c,))
$(eval $(call unit,test_tls_hold,escrow-server/web/tls_hold.c,-lssl))
$(eval $(call unit,test_peer_key,escrow-server/web/peer_key.c,))
$(eval $(call unit,test_http_guard,escrow-server/web/http_guard.c,))
$(eval $(call fuzz,fuzz_http,escrow-server/web/http_guard.c))
$(eval $(call fuzz,fuzz_sync,escrow-server/web/sync_read.c escrow-server/process/msg_store.c escrow-server/process/msg_piece.c crypto/cursor.c formats/base.c \
    formats/host/json_strict.c,-ljson-c))
$(eval $(call fuzz,fuzz_enroll,escrow-server/web/enroll_read.c escrow-server/process/msg_devices.c escrow-server/process/msg_store.c \
    escrow-server/process/msg_piece.c crypto/cursor.c formats/base.c formats/text.c formats/host/json_strict.c,-ljson-c))
$(eval $(call fuzz,fuzz_local,escrow-server/web/web_local_read.c formats/host/json_strict.c,-ljson-c))

$(eval $(call unit,test_address,escrow-server/process/address.c,))
$(eval $(call unit,test_slog,escrow-server/process/slog.c,))
$(eval $(call unit,test_quiet,escrow-server/process/quiet.c,))
$(eval $(call unit,test_tls_sessions,escrow-server/web/tls_sessions.c,-pthread))
$(eval $(call unit,test_tls_provider,$(addprefix escrow-server/web/,tls_provider.c tls_kdf.c tls_random.c tls_hmac.c tls_x25519.c tls_spki.c) escrow-server/pki.c escrow-server/pki_read.c,))
$(eval $(call unit,test_web_tls,escrow-server/pki.c escrow-server/pki_read.c \
    $(addprefix escrow-server/web/,web_tls.c tls_provider.c tls_kdf.c tls_random.c tls_hmac.c tls_x25519.c tls_spki.c tls_resume.c tls_sessions.c web_courier.c web_revoked.c) escrow-server/process/revoked.c,-lssl -ljson-c -pthread))
