/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A family of series: every value of label a with every value of label b, one behind the other. */
struct family {
    const char *name, *type, *help;
    unsigned first;
    const char *label_a, *const *a; /* NULL: no label; lists end with NULL */
    const char *label_b, *const *b;
    const uint64_t *bounds; /* of a histogram */
    double unit;            /* what one is, in the unit of the name */
};

static const char *const routes[] = {"enroll", "sync", "healthz", "readyz", "metrics", "other", NULL};
static const char *const codes[] = {"200", "400", "401", "403", "404", "405",   "408", "411",
                                    "413", "422", "429", "431", "503", "other", NULL};
static const char *const halves[] = {"recovery", "compliance", NULL};
static const char *const outcomes[] = {"done", "failed", NULL};
static const char *const loads[] = {"heartbeat", "escrow", NULL};
static const char *const asked[] = {"asked", "put_off", NULL};
static const char *const kinds[] = {"escrow", "report", "event", "key_package", NULL};
static const char *const classes[] = {"local", "replicated", "packed", NULL};
static const char *const processes[] = {"web", "writer", "vault", "export", "reader", NULL};
static const char *const states[] = {"all", "silent", "not_approved", "revoked", NULL};
static const char *const losses[] = {"open", "acknowledged", NULL};
static const char *const orders[] = {"to_order", "ordered", "rotated", NULL};
static const char *const refusals[] = {"password", "throttled", "role", "quota", "approval", "other", NULL};
static const char *const targets[] = {"file", "syslog", NULL};
static const char *const canaries[] = {"opened", "not_opened", NULL};

#define COUNTER(name_, first_, help_, ...)                                                                   \
    {                                                                                                        \
        .name = "keyholt_" name_, .type = "counter", .help = help_, .first = first_, __VA_ARGS__             \
    }
#define GAUGE(name_, first_, help_, ...)                                                                     \
    {                                                                                                        \
        .name = "keyholt_" name_, .type = "gauge", .help = help_, .first = first_, __VA_ARGS__               \
    }
#define HISTOGRAM(name_, first_, unit_, bounds_, help_, ...)                                                 \
    {                                                                                                        \
        .name = "keyholt_" name_, .type = "histogram", .help = help_, .first = first_, .bounds = bounds_,    \
        .unit = unit_, __VA_ARGS__                                                                           \
    }

static const struct family families[] = {
    COUNTER("http_requests_total", METRIC_REQUESTS, "Answered requests.", .label_a = "route", .a = routes,
            .label_b = "code", .b = codes),
    COUNTER("tls_handshakes_total", METRIC_HANDSHAKES, "TLS handshakes with devices.", .label_a = "result",
            .a = outcomes),
    COUNTER("shed_requests_total", METRIC_SHED,
            "Syncs that were asked to come back later, by what they brought.", .label_a = "load", .a = loads),
    COUNTER("log_lines_suppressed_total", METRIC_LOG_SUPPRESSED,
            "Lines about a device that had one in the same second."),
    COUNTER("envelope_sets_total", METRIC_ASKED, "Devices whose envelopes differ from the store's.",
            .label_a = "result", .a = asked),
    COUNTER("commits_total", METRIC_COMMITS, "Transactions.", .label_a = "store", .a = halves,
            .label_b = "result", .b = outcomes),
    COUNTER("records_total", METRIC_RECORDS, "Records that were new to the store.", .label_a = "kind",
            .a = kinds),
    COUNTER("receipts_total", METRIC_RECEIPTS, "Signed receipts.", .label_a = "class", .a = classes),
    COUNTER("flags_total", METRIC_FLAGS, "What is suspicious and was stored all the same.", .label_a = "kind",
            .a = metrics_flags),
    COUNTER("process_starts_total", METRIC_STARTS, "Starts of processes.", .label_a = "process",
            .a = processes),
    COUNTER("loss_orders_total", METRIC_LOSS_ORDERS,
            "Orders to replace a key that may have been disclosed where audit was lost."),
    COUNTER("heartbeats_quiet_total", METRIC_QUIET,
            "Heartbeats that were answered without a question to the store (quiet-devices)."),
    COUNTER("disclosures_total", METRIC_DISCLOSURES, "Recovery passwords that were shown to people."),
    COUNTER("refusals_total", METRIC_REFUSALS, "What the vault refused people, by why.", .label_a = "reason",
            .a = refusals),
    COUNTER("approvals_total", METRIC_APPROVALS, "Requests that a second person approved."),
    GAUGE("connections", METRIC_CONNECTIONS, "Open connections of devices."),
    GAUGE("waiting_questions", METRIC_WAITING, "Questions of web workers that have no answer yet."),
    GAUGE("processes_up", METRIC_UP, "Processes that are ready.", .label_a = "process", .a = processes),
    GAUGE("store_up", METRIC_STORE_UP,
          "1: it is connected, and its last transaction, if there was one, was carried out.",
          .label_a = "store", .a = halves),
    GAUGE("store_replicated", METRIC_REPLICATED, "1: a synchronous standby had the last commit.",
          .label_a = "store", .a = halves),
    GAUGE("devices", METRIC_DEVICES, "Enrolled devices, counted in the background.", .label_a = "state",
          .a = states),
    GAUGE("canaries", METRIC_CANARIES, "Escrow keys of the vault, by whether they open their canary.",
          .label_a = "state", .a = canaries),
    GAUGE("audit_losses", METRIC_LOSSES, "Gaps in the audit log that devices proved.", .label_a = "state",
          .a = losses),
    GAUGE("loss_keys", METRIC_LOSS_KEYS, "Keys that may have been disclosed where audit was lost.",
          .label_a = "state", .a = orders),
    GAUGE("audit_log_writable", METRIC_AUDIT_WRITABLE,
          "1: the vault can write its audit log; without that nothing is disclosed."),
    GAUGE("audit_export_backlog", METRIC_BACKLOG, "Entries of the audit log that are not exported yet.",
          .label_a = "target", .a = targets),
    HISTOGRAM("commit_seconds", METRIC_COMMIT_TIME, 1e-6, metrics_time_bounds, "Time of a commit.",
              .label_a = "store", .a = halves),
    HISTOGRAM("commit_requests", METRIC_BATCH, 1, metrics_batch_bounds, "Requests that shared a commit."),
    HISTOGRAM("record_age_seconds", METRIC_RECORD_AGE, 1, metrics_age_bounds,
              "From the making of a record, by its device's clock, to its first arrival."),
};

/* {a="x",b="y"} or nothing; extra: one more label, or NULL */
static void put_labels(FILE *f, const struct family *m, const char *a, const char *b, const char *extra)
{
    const char *comma = "";
    if (a == NULL && b == NULL && extra == NULL)
        return;
    fputc('{', f);
    if (a != NULL) {
        fprintf(f, "%s=\"%s\"", m->label_a, a);
        comma = ",";
    }
    if (b != NULL) {
        fprintf(f, "%s%s=\"%s\"", comma, m->label_b, b);
        comma = ",";
    }
    if (extra != NULL)
        fprintf(f, "%s%s", comma, extra);
    fputc('}', f);
}

static void put_histogram(FILE *f, const struct family *m, const char *a, unsigned first)
{
    uint64_t sum = 0;
    char le[48];
    for (unsigned i = 0;; i++) {
        bool last = m->bounds[i] == UINT64_MAX;
        sum += metrics_sum(first + i);
        if (last)
            snprintf(le, sizeof le, "le=\"+Inf\"");
        else
            snprintf(le, sizeof le, "le=\"%.9g\"", (double)m->bounds[i] * m->unit);
        fprintf(f, "%s_bucket", m->name);
        put_labels(f, m, a, NULL, le);
        fprintf(f, " %" PRIu64 "\n", sum);
        if (last)
            break;
    }
    fprintf(f, "%s_sum", m->name);
    put_labels(f, m, a, NULL, NULL);
    fprintf(f, " %.9g\n%s_count", (double)metrics_sum(first + METRICS_BUCKETS) * m->unit, m->name);
    put_labels(f, m, a, NULL, NULL);
    fprintf(f, " %" PRIu64 "\n", sum); /* of the same moment as the buckets */
}

static void put_one(FILE *f, const struct family *m, const char *a, const char *b, unsigned *at)
{
    if (m->bounds != NULL) {
        put_histogram(f, m, a, *at);
        *at += METRICS_BUCKETS + 2;
        return;
    }
    fputs(m->name, f);
    put_labels(f, m, a, b, NULL);
    fprintf(f, " %" PRIu64 "\n", metrics_sum((*at)++));
}

static void put_family(FILE *f, const struct family *m)
{
    static const char *const none[] = {NULL};
    const char *const *a = m->a != NULL ? m->a : none;
    unsigned at = m->first;
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
    do {
        const char *const *b = m->b != NULL ? m->b : none;
        do {
            put_one(f, m, *a, *b, &at);
        } while (*b != NULL && *++b != NULL);
    } while (*a != NULL && *++a != NULL);
}

enum err metrics_text(char **ret, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        put_family(f, &families[i]);
    if (fclose(f) != 0) {
        free(text);
        return ERR_NOMEM;
    }
    *ret = text;
    *ret_len = len;
    return ERR_OK;
}
