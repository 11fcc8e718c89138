# SPDX-License-Identifier: GPL-3.0-or-later
# make MALLOC=jemalloc: web and writer with that allocator (libjemalloc-dev), for a seventh less time in a handshake
server_malloc := $(if $(MALLOC),-Wl$(comma)--no-as-needed -l$(MALLOC))
# escrow-server/: the command (its verbs and the supervisor) and the three processes that it starts.
server_child := escrow-server/child.c escrow-server/control.c escrow-server/slog.c escrow-server/places.c \
    escrow-server/chan.c escrow-server/msg_piece.c escrow-server/msg_store.c escrow-server/msg_vault.c \
    escrow-server/state.c

server_store := escrow-server/store_sqlite.c escrow-server/store.c escrow-server/store_query.c \
    escrow-server/store_devices.c escrow-server/store_records.c escrow-server/store_find.c escrow-server/store_retain.c \
    escrow-server/sql_sqlite.c escrow-server/cwd_vfs.c escrow-server/store_pg.c escrow-server/store_pg_connect.c \
    escrow-server/store_pg_wire.c escrow-server/sql_pg.c
server_store_libs := -lsqlite3 -lpq -pthread

$(eval $(call program,bin/keyholt-server,escrow-server/main.c escrow-server/options.c escrow-server/places.c \
    escrow-server/slog.c escrow-server/verb_init.c escrow-server/setup_keys.c escrow-server/setup_state.c \
    escrow-server/setup_org.c escrow-server/pki.c escrow-server/people.c escrow-server/verb_serve.c \
    escrow-server/listen.c escrow-server/tls_sessions.c escrow-server/supervise.c escrow-server/control.c escrow-server/local.c \
    escrow-server/verb_recover.c escrow-server/verb_audit.c escrow-server/audit_view.c escrow-server/audit_reading.c \
    escrow-server/audit_import.c escrow-server/verb_user.c escrow-server/verb_token.c escrow-server/state.c \
    escrow-server/state_store.c escrow-server/state_backup.c escrow-server/store_rows.c escrow-server/store_check.c \
    escrow-server/sql_tables.c escrow-server/verb_backup.c escrow-server/verb_restore.c escrow-server/verb_verify.c \
    escrow-server/verb_move.c escrow-server/verb_retain.c escrow-server/verb_import.c $(server_store),\
    -ljson-c -lcrypt $(server_store_libs)))

$(eval $(call program,libexec/web,$(server_child) escrow-server/web_main.c escrow-server/web_back.c \
    escrow-server/web_replay.c escrow-server/web_tls.c escrow-server/tls_provider.c escrow-server/tls_sessions.c escrow-server/tls_resume.c escrow-server/web_courier.c escrow-server/web_conn.c escrow-server/web_http.c \
    escrow-server/web_gzip.c escrow-server/web_enroll.c escrow-server/web_sync.c escrow-server/web_health.c \
    escrow-server/web_revoked.c escrow-server/web_local.c escrow-server/web_local_ops.c escrow-server/web_outbox.c escrow-server/web_records.c escrow-server/web_recover.c escrow-server/pki.c,\
    -levent_openssl -levent_core -levent_extra -ljson-c -lssl -lz $(server_malloc)))

$(eval $(call program,libexec/writer,$(server_child) escrow-server/writer_main.c escrow-server/writer_batch.c \
    escrow-server/writer_sync.c escrow-server/writer_enroll.c escrow-server/writer_disclosed.c escrow-server/writer_seen.c \
 escrow-server/pki.c $(server_store),$(server_store_libs) $(server_malloc)))

$(eval $(call program,libexec/vault,$(server_child) escrow-server/vault_main.c escrow-server/vault_keys.c \
    escrow-server/vault_log.c escrow-server/vault_person.c escrow-server/vault_disclose.c \
    escrow-server/vault_seccomp.c escrow-server/people.c,-ljson-c -lcrypt -lseccomp))

# tests/server/test_killed.py: stops the writer between a record and its receipt
all: $(B)/tests/kill_shim.so
$(B)/tests/kill_shim.so: tests/server/kill_shim.c Makefile
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -std=gnu11 $(CFLAGS) -fPIC $(WARN) -shared -o $@ $< -ldl

# Makes what a device would say, for tests/server/test_server.py
$(eval $(call program,tests/record_tool,tests/server/record_tool.c,))

$(eval $(call unit,test_server_msg,escrow-server/chan.c escrow-server/msg_piece.c escrow-server/msg_store.c \
    escrow-server/msg_vault.c,))
$(eval $(call unit,test_server_store,$(server_store) escrow-server/slog.c,$(server_store_libs)))
$(eval $(call unit,test_server_people,escrow-server/people.c escrow-server/options.c escrow-server/places.c,\
    -ljson-c -lcrypt))
$(eval $(call unit,test_server_writer,escrow-server/writer_batch.c escrow-server/writer_sync.c \
    escrow-server/writer_enroll.c escrow-server/writer_disclosed.c escrow-server/writer_seen.c escrow-server/pki.c \
    escrow-server/chan.c escrow-server/msg_piece.c escrow-server/msg_store.c escrow-server/msg_vault.c \
    escrow-server/slog.c $(server_store),$(server_store_libs)))
$(eval $(call unit,test_tls_sessions,escrow-server/tls_sessions.c,-pthread))
