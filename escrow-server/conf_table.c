/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/conf_table.h"

const struct conf_setting conf_settings[CONF_SETTINGS] = {
    {"listen", VALUE_TEXT, offsetof(struct conf, listen),
     "Numeric address and port for devices, as 0.0.0.0:8443 or [::]:8443. Not used where sockets are handed\n"
     "# over (keyholt-server.socket), nor by serve --listen."},
    {"metrics", VALUE_TEXT, offsetof(struct conf, metrics),
     "Where Prometheus finds /metrics, as 127.0.0.1:9464. Nobody is asked who he is, and nothing is "
     "encrypted.\n"
     "# Empty: only on the UNIX socket /run/keyholt/metrics.sock, for root."},
    {"web-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_WEB]),
     "Numeric user (and group) of each process, above 0 and all different; that of export counts where "
     "audit\n"
     "# is exported."},
    {"writer-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_WRITER]), NULL},
    {"vault-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_VAULT]), NULL},
    {"export-uid", VALUE_UID, offsetof(struct conf, uid[PROCESS_EXPORT]), NULL},
    {"web-workers", VALUE_WORKERS, offsetof(struct conf, web_workers),
     "How many processes speak TLS with devices, 1 to 16; auto: one per core."},
    {"start-seconds", VALUE_U64, offsetof(struct conf, start_s),
     "The start has failed when a process is not ready and nothing moved for so many seconds. A store that "
     "is\n"
     "# being brought to a newer form moves, however long that takes; writing it down at its end does not."},
    {"sync-every-seconds", VALUE_U64, offsetof(struct conf, sync_every_s),
     "How many seconds after an answer a device is asked to come back."},
    {"tls-sessions", VALUE_ENTRIES, offsetof(struct conf, tls_sessions),
     "How many devices can resume their TLS session, at any worker; 320 bytes each. 0: none, and no "
     "tickets,\n"
     "# each of which costs a handshake about an eighth more."},
    {"quiet-devices", VALUE_ENTRIES, offsetof(struct conf, quiet_devices),
     "Of how many devices, about, the server remembers that they need not be told anything: their heartbeats "
     "are\n"
     "# answered without the store; 48 bytes each. 0: none. Not with PostgreSQL."},
    {"enrol-approval", VALUE_YES, offsetof(struct conf, enrol_approval),
     "yes: a new device escrows at once, but belongs to no user until a person approves it\n"
     "# (keyholt-server device approve)."},
    {"loss-rotations-per-hour", VALUE_U64, offsetof(struct conf, loss_rotations),
     "After a proved loss of audit entries: how many keys that may have been disclosed in it are ordered to\n"
     "# rotate in an hour, at all servers together (keyholt-server audit losses)."},
    {"silent-days", VALUE_U64, offsetof(struct conf, silent_days),
     "A device that did not sync for so many days counts as silent in /metrics."},
    {"shed-waiting", VALUE_U64, offsetof(struct conf, shed_waiting),
     "Load: when a web worker waits for so many answers of the other processes, syncs without a recovery\n"
     "# password are asked to come back later. Those with one are taken up to 2048."},
    {"connections", VALUE_U64, offsetof(struct conf, connections),
     "How many connections one web worker holds at most (16 KiB of memory each, and 52 KiB whatever "
     "strangers do);\n"
     "# when more come, the one goes that said nothing for longest. Never more than the limit of open files "
     "has\n"
     "# room for."},
    {"connections-per-address", VALUE_ENTRIES, offsetof(struct conf, connections_each),
     "How many of them one address has at most (IPv6: one /64); when more come from it, its oldest one goes\n"
     "# that has no request under way. 0: a quarter. Behind a load balancer or NAT64, which hide addresses: "
     "as many\n"
     "# as connections."},
    {"asks-per-second", VALUE_U64, offsetof(struct conf, asks_per_second),
     "After a loss: how many devices one web worker asks in a second for what the store lacks."},
    {"disclosures-per-hour", VALUE_U64, offsetof(struct conf, quota_per_hour),
     "How many keys one person may read within an hour, at all vaults together: each vault gives an equal "
     "part of\n"
     "# them, and one at least."},
    {"vaults", VALUE_U64, offsetof(struct conf, vaults),
     "How many servers there are, each with a vault: disclosures-per-hour and loss-rotations-per-hour are "
     "divided\n"
     "# among them. The same number in every server.conf."},
    {"approval", VALUE_TEXT, offsetof(struct conf, approval),
     "Roles whose disclosures a second person must approve (keyholt-server approve), as helpdesk, advanced;\n"
     "# empty: none."},
    {"audit-file", VALUE_TEXT, offsetof(struct conf, audit_file),
     "Each audit entry is also written to that file (an absolute path) as a line of JSON (the user "
     "export-uid\n"
     "# must be able to), and sent there by syslog (RFC 5424), as tcp://192.0.2.7:601, udp://192.0.2.7:514 "
     "or\n"
     "# /dev/log; empty: neither."},
    {"audit-syslog", VALUE_TEXT, offsetof(struct conf, audit_syslog), NULL},
    {"recovery", VALUE_TEXT, offsetof(struct conf, store[0]),
     "The two stores: empty for SQLite, or a PostgreSQL connection string without a password, as\n"
     "# postgres://keyholt@db1,db2/keyholt?sslmode=verify-full&passfile=/etc/keyholt/writer.pgpass"},
    {"compliance", VALUE_TEXT, offsetof(struct conf, store[1]), NULL},
    {"compliance-months", VALUE_MONTHS, offsetof(struct conf, compliance_months),
     "For how many months `keyholt-server retain` leaves compliance records; 0: for ever. Keys are never "
     "deleted."},
    {"offline-root-key", VALUE_TEXT, offsetof(struct conf, root_key),
     "Where init put the offline keys; the server refuses to run while it can read them."},
    {"offline-desk-key", VALUE_TEXT, offsetof(struct conf, desk_key), NULL},
    {"vault-passphrase-file", VALUE_TEXT, offsetof(struct conf, passphrase_file),
     "Opens the vault's escrow keys, and is the PIN of its tokens: a file that only root reads, or\n"
     "# credential:NAME (systemd). Empty: they lie unencrypted, 0600."},
};

const struct conf_value conf_values[VALUE_TEXT + 1] = {
    [VALUE_UID] = {"a numeric user", "a numeric user is wanted"},
    [VALUE_WORKERS] = {"1 to 16, or auto", "1 to 16, or auto, is wanted"},
    [VALUE_U64] = {"a number from 1 to 2147483648", "a number from 1 to 2147483648 is wanted"},
    [VALUE_MONTHS] = {"a number from 0 to 600", "a number from 0 to 600 is wanted"},
    [VALUE_ENTRIES] = {"a number from 0 to 1048576", "a number from 0 to 1048576 is wanted"},
    [VALUE_YES] = {"yes or no", "yes or no is wanted"},
    [VALUE_TEXT] = {"text of at most 4095 bytes, or nothing", "the value is too long"},
};
_Static_assert(PATH_MAX == 4096, "as conf_values says");
