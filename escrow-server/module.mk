# SPDX-License-Identifier: GPL-3.0-or-later
# make MALLOC=jemalloc: web, writer and reader with that allocator (libjemalloc-dev); measure first, docs/architecture.md has figures
server_malloc := $(if $(MALLOC),-Wl$(comma)--no-as-needed -l$(MALLOC))
# escrow-server/: the command (its verbs and the supervisor) and the processes that it starts.
server_child := escrow-server/child.c escrow-server/child_listen.c escrow-server/control.c escrow-server/slog.c escrow-server/places.c \
    escrow-server/chan.c escrow-server/msg_piece.c escrow-server/msg_store.c escrow-server/msg_devices.c escrow-server/msg_vault.c escrow-server/msg_loss.c \
    escrow-server/state.c escrow-server/passphrase.c escrow-server/metrics.c
# PKCS#11 tokens through p11-kit, in the two programs that may meet one
escrow_key := escrow-server/escrow_key.c crypto/pkcs11/p256_token.c
$(B)/obj/crypto/pkcs11/%.o: CPPFLAGS += -isystem /usr/include/p11-kit-1

server_store := escrow-server/store_sqlite.c escrow-server/store.c escrow-server/store_query.c \
    escrow-server/store_devices.c escrow-server/store_records.c escrow-server/store_find.c escrow-server/store_uncertain.c escrow-server/store_retain.c \
    escrow-server/sql_sqlite.c escrow-server/cwd_vfs.c escrow-server/store_pg.c escrow-server/store_pg_connect.c \
    escrow-server/store_pg_wire.c escrow-server/sql_pg.c
server_store_libs := -lsqlite3 -lpq -pthread

$(eval $(call program,bin/keyholt-server,escrow-server/main.c escrow-server/options.c escrow-server/places.c \
    escrow-server/slog.c escrow-server/verb_init.c escrow-server/setup_keys.c escrow-server/setup_state.c \
    escrow-server/setup_org.c escrow-server/pki.c escrow-server/pki_read.c escrow-server/people.c escrow-server/totp.c escrow-server/verb_approve.c escrow-server/verb_serve.c \
    escrow-server/listen.c escrow-server/tls_sessions.c escrow-server/supervise.c escrow-server/control.c escrow-server/local.c \
    escrow-server/verb_recover.c escrow-server/verb_audit.c escrow-server/audit_view.c escrow-server/audit_reading.c escrow-server/audit_gaps.c \
    escrow-server/audit_import.c escrow-server/verb_audit_erase.c escrow-server/verb_audit_losses.c escrow-server/verb_audit_begin.c escrow-server/verb_audit_export.c escrow-server/verb_user.c escrow-server/verb_token.c escrow-server/state.c \
    escrow-server/state_store.c escrow-server/state_backup.c escrow-server/store_rows.c escrow-server/store_check.c \
    escrow-server/sql_tables.c escrow-server/verb_backup.c escrow-server/verb_restore.c escrow-server/verb_verify.c \
    escrow-server/verb_move.c escrow-server/verb_retain.c escrow-server/verb_import.c escrow-server/verb_keys.c \
    escrow-server/verb_check_config.c escrow-server/verb_device.c escrow-server/verb_policy.c \
    escrow-server/answer.c escrow-server/listen_given.c escrow-server/metrics.c \
    $(escrow_key) escrow-server/passphrase.c $(server_store),\
    -ljson-c -lcrypt -lp11-kit $(server_store_libs)))

$(eval $(call program,libexec/web,$(server_child) escrow-server/web_main.c escrow-server/web_back.c \
    escrow-server/web_replay.c escrow-server/web_tls.c escrow-server/tls_provider.c escrow-server/tls_sessions.c escrow-server/tls_resume.c escrow-server/web_courier.c escrow-server/web_conn.c escrow-server/web_http.c \
    escrow-server/web_gzip.c escrow-server/web_enroll.c escrow-server/web_sync.c escrow-server/sync_read.c escrow-server/web_health.c \
    escrow-server/web_vault.c escrow-server/web_losses.c escrow-server/web_heads.c \
    escrow-server/web_revoked.c escrow-server/web_local.c escrow-server/web_local_ops.c escrow-server/web_outbox.c \
    escrow-server/web_devices.c escrow-server/web_refuse.c escrow-server/http_guard.c escrow-server/web_metrics.c \
    escrow-server/metrics_text.c escrow-server/web_org.c escrow-server/web_shed.c escrow-server/web_records.c escrow-server/web_recover.c escrow-server/pki.c escrow-server/pki_read.c,\
    -levent_openssl -levent_core -levent_extra -ljson-c -lssl -lz $(server_malloc)))

$(eval $(call program,libexec/writer,$(server_child) escrow-server/webs.c escrow-server/writer_main.c escrow-server/writer_batch.c \
    escrow-server/writer_sync.c escrow-server/writer_enroll.c escrow-server/writer_disclosed.c escrow-server/writer_orders.c escrow-server/writer_seen.c \
    escrow-server/writer_devices.c escrow-server/writer_loss.c escrow-server/writer_uncertain.c escrow-server/pki.c escrow-server/pki_read.c \
    $(server_store),$(server_store_libs) $(server_malloc)))

$(eval $(call program,libexec/reader,$(server_child) escrow-server/webs.c escrow-server/reader_main.c \
    escrow-server/reader_answer.c escrow-server/reader_sweep.c $(server_store),$(server_store_libs) $(server_malloc)))

$(eval $(call program,libexec/vault,$(server_child) escrow-server/vault_main.c escrow-server/vault_take.c escrow-server/vault_keys.c \
    $(escrow_key) escrow-server/vault_state.c escrow-server/vault_memory.c escrow-server/vault_head.c escrow-server/vault_loss.c \
    escrow-server/vault_foreign.c escrow-server/vault_erase.c escrow-server/vault_export.c \
    escrow-server/vault_log.c escrow-server/vault_person.c escrow-server/vault_disclose.c \
    escrow-server/vault_seccomp.c escrow-server/vault_approval.c escrow-server/people.c escrow-server/totp.c,-ljson-c -lcrypt -lseccomp -lp11-kit))

$(eval $(call program,libexec/export,$(server_child) escrow-server/export_main.c escrow-server/export_target.c \
    escrow-server/export_form.c escrow-server/export_syslog.c,-ljson-c))

# tests/server/test_killed.py: stops the writer between a record and its receipt
all: $(B)/tests/kill_shim.so
$(B)/tests/kill_shim.so: tests/server/kill_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) -fPIC $(WARN) -shared -o $@ $< -ldl

# Makes what a device would say, for tests/server/test_server.py
$(eval $(call program,tests/record_tool,tests/server/record_tool.c,))

$(eval $(call unit,test_server_msg,escrow-server/chan.c escrow-server/msg_piece.c escrow-server/msg_store.c \
    escrow-server/msg_devices.c escrow-server/msg_vault.c escrow-server/msg_loss.c,))
$(eval $(call unit,test_export_form,escrow-server/export_form.c,-ljson-c))
$(eval $(call unit,test_server_store,$(server_store) escrow-server/slog.c,$(server_store_libs)))
$(eval $(call unit,test_server_people,escrow-server/people.c escrow-server/totp.c escrow-server/options.c escrow-server/places.c,\
    -ljson-c -lcrypt))
$(eval $(call unit,test_server_writer,escrow-server/writer_batch.c escrow-server/writer_sync.c \
    escrow-server/writer_enroll.c escrow-server/writer_disclosed.c escrow-server/writer_orders.c escrow-server/writer_seen.c escrow-server/writer_devices.c \
    escrow-server/writer_loss.c escrow-server/writer_uncertain.c escrow-server/webs.c escrow-server/child_listen.c escrow-server/control.c escrow-server/metrics.c escrow-server/pki.c escrow-server/pki_read.c \
    escrow-server/chan.c escrow-server/msg_piece.c escrow-server/msg_store.c escrow-server/msg_devices.c escrow-server/msg_vault.c escrow-server/msg_loss.c \
    escrow-server/slog.c $(server_store),$(server_store_libs)))

$(eval $(call unit,test_http_guard,escrow-server/http_guard.c,))
$(eval $(call fuzz,fuzz_http,escrow-server/http_guard.c))
$(eval $(call fuzz,fuzz_sync,escrow-server/sync_read.c escrow-server/msg_store.c escrow-server/msg_piece.c crypto/cursor.c formats/base.c \
    formats/host/json_strict.c,-ljson-c))

# The whole server under AddressSanitizer and UBSan, for tests/server/test_sanitized.py
SAN := $(B)/san
san_programs := bin/keyholt-server libexec/web libexec/writer libexec/reader libexec/vault libexec/export tests/record_tool
.PHONY: sanitized
sanitized:
	$(Q)$(MAKE) --no-print-directory B=$(SAN) CFLAGS='-O1 -g -fno-omit-frame-pointer $(ASAN)' HARDEN= \
	    EXTRA_CFLAGS=-Wno-format-truncation LDFLAGS='$(ASAN)' $(san_programs:%=$(SAN)/%)
$(eval $(call unit,test_tls_sessions,escrow-server/tls_sessions.c,-pthread))
$(eval $(call unit,test_tls_provider,escrow-server/tls_provider.c escrow-server/pki.c escrow-server/pki_read.c,))
$(eval $(call unit,test_web_tls,escrow-server/web_tls.c escrow-server/tls_provider.c escrow-server/tls_resume.c \
    escrow-server/tls_sessions.c escrow-server/web_courier.c escrow-server/web_revoked.c escrow-server/pki.c escrow-server/pki_read.c,-lssl -ljson-c -pthread))
