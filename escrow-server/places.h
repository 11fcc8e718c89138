#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the server keeps things, below --root; and its configuration file. */

#include "crypto/err.h"
#include "formats/names.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PLACE_CONF        KH_ETC "/server.conf"
#define PLACE_ORG         KH_ORG_DIR "/org.json"
#define PLACE_ORG_SIG     KH_ORG_DIR "/org.json.sig"
#define PLACE_ORG_NEXT    KH_ORG_DIR "/org.json.sig.next" /* state_org_signed() */
#define PLACE_POLICY_JSON KH_ORG_DIR "/policy.json"
#define PLACE_POLICY_SIG  KH_ORG_DIR "/policy.json.sig"
#define PLACE_ROOT_PUB    KH_ORG_DIR "/root.pub"
#define PLACE_POLICY      KH_SERVER_STATE "/policy/policy.key"
#define PLACE_LOCK        KH_SERVER_STATE "/lock"
#define PLACE_WEB         KH_SERVER_STATE "/web"
#define PLACE_WRITER      KH_SERVER_STATE "/writer"
#define PLACE_VAULT       KH_SERVER_STATE "/vault"
#define PLACE_EXPORT      KH_SERVER_STATE "/export"
#define PLACE_USERS       PLACE_VAULT "/users.json"
#define PLACE_AUDIT       PLACE_VAULT "/audit.log"
#define PLACE_FOREIGN     PLACE_VAULT "/foreign" /* imported chains, HEX.log; HEX.new while one is imported */
#define PLACE_AUDIT_PUB   KH_ORG_DIR "/audit.pub"

/* Within the folder of each process, which is its working directory. */
#define NAME_TLS_KEY     "tls.key"
#define NAME_TLS_CERT    "tls.pem"
#define NAME_RECEIPT_KEY "receipt.key"
#define NAME_CA_KEY      "ca.key"
#define NAME_ESCROW_KEYS "keys"
#define NAME_USERS       "users.json"
#define NAME_AUDIT       "audit.log"
#define NAME_AUDIT_KEY   "audit.key" /* signs where the log stands; encrypted as the escrow keys are */
#define NAME_FOREIGN     "foreign"
/* One line "HASH EXPIRES USES" by init, which the writer takes in at start. */
#define NAME_FIRST_TOKEN "first-token"

#define CONF_UID_FIRST      64801 /* web; writer and vault follow */
#define CONF_WORKERS_MAX    16
#define CONF_START_S        30
#define CONF_SYNC_EVERY_S   5400
#define CONF_QUOTA_PER_HOUR 20
#define CONF_MONTHS_MAX     600
#define CONF_SILENT_DAYS    14
#define CONF_LOSS_ROTATIONS 600
#define CONF_SHED_WAITING   512
#define CONF_ASKS           50
#define CONF_CONNECTIONS    16384
#define CONF_ENTRIES_MAX    (1u << 20)
#define CONF_QUIET          65536

enum process_kind { PROCESS_WEB = 1, PROCESS_WRITER, PROCESS_VAULT, PROCESS_EXPORT, PROCESS_READER };
#define PROCESS_KINDS (PROCESS_READER + 1)
#define PROCESS_USERS PROCESS_READER /* it runs as the writer's user: the stores are that one's */

struct conf {
    uid_t uid[PROCESS_USERS];   /* by enum process_kind; also used as group */
    char listen[PATH_MAX];      /* address and port, where serve is not told another */
    char metrics[PATH_MAX];     /* address and port of /metrics; empty: the local socket */
    unsigned web_workers;       /* 1 to CONF_WORKERS_MAX; 0: one per core */
    uint64_t start_s;           /* the longest silence of a process that starts */
    uint64_t sync_every_s;      /* when devices are asked to come back */
    uint64_t quota_per_hour;    /* disclosures of one person, at all vaults together */
    uint64_t vaults;            /* among which that is divided */
    char approval[PATH_MAX];    /* roles whose disclosures a second person must approve, comma-separated */
    uint64_t enrol_approval;    /* 1: a person approves every device that enrols */
    uint64_t loss_rotations;    /* after a loss of audit: keys ordered to rotate in an hour, at all servers */
    uint64_t silent_days;       /* after so many a device counts as silent */
    uint64_t shed_waiting;      /* questions of one worker, from which on heartbeats are sent away */
    uint64_t connections;       /* of one worker */
    uint64_t connections_each;  /* of one address, at one worker; 0: a quarter of those */
    uint64_t asks_per_second;   /* devices asked for the set of their envelopes, by one worker */
    uint64_t tls_sessions;      /* that can be resumed; 0: none */
    uint64_t quiet_devices;     /* whose heartbeats need no question to the store; 0: none */
    char root_key[PATH_MAX];    /* where init put the offline root key and the desk's key; no process of */
    char desk_key[PATH_MAX];    /* the server may be able to read them */
    uint64_t compliance_months; /* how long the compliance store keeps records; 0: for ever */
    char store[2][PATH_MAX];    /* connection strings, by enum store_half; empty: SQLite */
    char audit_file[PATH_MAX], audit_syslog[PATH_MAX]; /* where entries are exported to; empty: nowhere */
    char passphrase_file[PATH_MAX];                    /* of the vault's keys; empty when they lie in clear */
};

/* Where and what is wrong in it. */
struct conf_mistake {
    unsigned line; /* 0: the file as a whole */
    char key[64];  /* empty: the line has none */
    const char *reason;
};

void conf_init(struct conf *c);
/* err: NOT_FOUND (no server here), FORMAT (a sentence on standard error names line and key), DENIED, IO */
MUST_CHECK enum err conf_load(const char *root, struct conf *ret);
/* The same without a word.
 * path:        of the file
 * ret_lines:   where each of conf_settings stands, 0: nowhere; filled on OK, or NULL
 * ret_mistake: filled on FORMAT */
MUST_CHECK enum err conf_read(const char *path, struct conf *ret, unsigned *ret_lines,
                              struct conf_mistake *ret_mistake);
MUST_CHECK enum err conf_save(const char *root, const struct conf *c);
/* All settings with their comments, as the file has them. ret: malloc'ed. err: NOMEM */
MUST_CHECK enum err conf_text(const struct conf *c, char **ret, size_t *ret_len);
/* One per core where nothing is said. */
unsigned conf_workers(const struct conf *c);

/* Absolute path of a file given by a person, so that it means the same to a process elsewhere.
 * err: RANGE, IO */
MUST_CHECK enum err place_absolute(const char *path, char ret[static PATH_MAX]);
