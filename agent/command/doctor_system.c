/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processes, organisation, servers, TPM, disk space. */
#include "agent/command/doctor.h"
#include <stdlib.h>
#include <string.h>

#define DAY        INT64_C(86400)
#define SILENT     (7 * DAY)  /* without a server for so long is worth a look */
#define LONG       (30 * DAY) /* for so long somebody must look */
#define LEAST_FREE (8u << 20) /* the cache grows by some KiB a rotation */

static void keeper(const struct doctor_facts *f, struct doctor_report *r)
{
    if (f->status)
        doctor_say(r, DOCTOR_GOOD, "the keeper runs and answers");
    else
        doctor_say(r, DOCTOR_BAD,
                   "%s. Nothing else can be said without it; its journal: journalctl -u keyholt-keeper",
                   f->no_status);
}

static void courier(const struct doctor_facts *f, struct doctor_report *r)
{
    if (strcmp(doctor_text(f->status, "courier"), "connected") == 0)
        doctor_say(r, DOCTOR_GOOD, "the courier runs");
    else
        doctor_say(r, DOCTOR_BAD,
                   "the courier does not run: records wait. Start it: systemctl start keyholt-courier");
}

static void organisation(const struct doctor_facts *f, struct doctor_report *r)
{
    const char *name = doctor_text(f->status, "organisation");
    if (name[0])
        doctor_say(r, DOCTOR_GOOD, "the organisation is %s, its files are of version %lld", name,
                   (long long)doctor_number(f->status, "org_version"));
    else
        doctor_say(r, DOCTOR_BAD,
                   "this computer belongs to no organisation, so nothing can be protected. Join one: "
                   "keyholt-agent enroll --bundle DIR");
}

static void enrolment(const struct doctor_facts *f, struct doctor_report *r)
{
    const char *state = doctor_text(f->status, "enrolment"), *identity = doctor_text(f->status, "identity");
    if (strcmp(state, "done") == 0)
        doctor_say(r, DOCTOR_GOOD, "a server has accepted this computer");
    else if (strcmp(state, "queued") == 0)
        doctor_say(r, DOCTOR_NOTE,
                   "no server has accepted this computer yet; it is tried whenever one can be reached, "
                   "and volumes can be protected meanwhile");
    else if (doctor_text(f->status, "organisation")[0])
        doctor_say(r, DOCTOR_BAD,
                   "no server has accepted this computer, and its enrolment token is used up or gone. "
                   "Enrol it again with a new bundle: keyholt-agent enroll --bundle DIR");
    else
        doctor_say(r, DOCTOR_NOTE, "there is no organisation to enrol with yet");
    if (identity[0])
        doctor_say(r, DOCTOR_BAD, "%s", identity);
}

static void certificate(const struct doctor_facts *f, struct doctor_report *r)
{
    long long days = (long long)((f->certificate_end - f->now) / DAY);
    if (!f->certificate_end && strcmp(doctor_text(f->status, "enrolment"), "done") == 0)
        doctor_say(r, DOCTOR_BAD,
                   "the courier's certificate is gone: servers do not talk to it. Enrol again with a new "
                   "bundle: keyholt-agent enroll --bundle DIR");
    else if (!f->certificate_end)
        doctor_say(r, DOCTOR_NOTE, "the courier has no certificate yet; it comes with the enrolment");
    else if (f->certificate_end <= f->now)
        doctor_say(r, DOCTOR_NOTE,
                   "the courier's certificate expired %lld days ago; it still syncs, and the next sync "
                   "brings a new one",
                   -days);
    else
        doctor_say(r, DOCTOR_GOOD, "the courier's certificate is good for %lld days", days);
}

static void clock_of(const struct doctor_facts *f, struct doctor_report *r)
{
    int64_t off = doctor_number(f->status, "clock_off_s");
    if (off)
        doctor_say(r, DOCTOR_BAD,
                   "this computer's clock is %lld hours %s the server's. Set it (timedatectl); syncing "
                   "goes on all the same, but times in reports are wrong",
                   (long long)llabs(off) / 3600, off > 0 ? "behind" : "ahead of");
    else if (doctor_number(f->status, "last_sync") > f->now + DAY)
        doctor_say(r, DOCTOR_BAD,
                   "the last sync lies in the future: the clock went back. Set it (timedatectl)");
    else
        doctor_say(r, DOCTOR_GOOD, "the clock does not contradict a server's");
}

static void servers(const struct doctor_facts *f, struct doctor_report *r)
{
    int64_t last = doctor_number(f->status, "last_sync"), days = (f->now - last) / DAY;
    const char *problem = doctor_text(f->status, "last_problem");
    if (problem[0])
        doctor_say(
            r, last && f->now - last < SILENT ? DOCTOR_NOTE : DOCTOR_BAD,
            "the last try to reach a server came to nothing: %s. It is tried again by itself; at once: "
            "keyholt-agent sync",
            problem);
    if (!last && strcmp(doctor_text(f->status, "enrolment"), "done") == 0)
        doctor_say(r, DOCTOR_NOTE, "no sync has succeeded yet; at once: keyholt-agent sync");
    else if (last && f->now - last >= SILENT)
        doctor_say(r, f->now - last >= LONG ? DOCTOR_BAD : DOCTOR_NOTE,
                   "no server was reached for %lld days. Is the network allowed to reach it (keyholt-agent "
                   "sync says "
                   "more)? Where there is never one, the outbox can be carried by hand",
                   (long long)days);
    else if (last && !problem[0])
        doctor_say(r, DOCTOR_GOOD, "a server was reached %lld hours ago", (long long)(f->now - last) / 3600);
    else if (!last && !problem[0])
        doctor_say(r, DOCTOR_NOTE, "no server was asked yet");
}

static void outbox(const struct doctor_facts *f, struct doctor_report *r)
{
    int64_t n = doctor_number(f->status, "queued"), since = doctor_number(f->status, "queued_since");
    long long days = since && f->now > since ? (long long)((f->now - since) / DAY) : 0;
    if (doctor_number(f->status, "unsigned") > 0)
        doctor_say(r, DOCTOR_NOTE, "%lld records wait for the TPM, which holds the key that signs them",
                   (long long)doctor_number(f->status, "unsigned"));
    else if (n == 0)
        doctor_say(r, DOCTOR_GOOD, "every record has a receipt");
    if (n > 0)
        doctor_say(r, days * DAY >= LONG ? DOCTOR_BAD : DOCTOR_NOTE,
                   "%lld records wait for a receipt, the oldest for %lld days. Recovery passwords among them "
                   "are in the "
                   "volumes' own headers, too, so nothing is lost; they go out with the next sync",
                   (long long)n, days);
}

static void tpm(const struct doctor_facts *f, struct doctor_report *r)
{
    struct json_object *t = doctor_object(f->status, "tpm");
    const char *text = doctor_text(t, "text"), *problem = doctor_text(t, "problem");
    if (!doctor_flag(t, "present") && !problem[0])
        doctor_say(r, DOCTOR_NOTE, "%s", text[0] ? text : "there is no TPM; the device key is a file");
    else if (problem[0])
        doctor_say(r, DOCTOR_BAD, "the TPM cannot be used: %s. %s", problem, text);
    else
        doctor_say(r, doctor_flag(doctor_object(t, "lockout"), "locked") ? DOCTOR_BAD : DOCTOR_GOOD, "%s",
                   text);
}

static void space(const struct doctor_facts *f, struct doctor_report *r)
{
    if (f->state_read_only)
        doctor_say(r, DOCTOR_BAD,
                   "the file system with /var/lib/keyholt is read-only: nothing can be protected or "
                   "recorded. After a disk error it is remounted so; see dmesg");
    else if (f->state_free < LEAST_FREE)
        doctor_say(r, DOCTOR_BAD,
                   "only %llu KiB are free where /var/lib/keyholt lies: a new key could not be kept. Make "
                   "room",
                   (unsigned long long)f->state_free / 1024);
    else
        doctor_say(r, DOCTOR_GOOD, "there is room for the agent's state");
}

const struct doctor_check doctor_system_checks[] = {
    {"keeper", keeper, true},
    {"courier", courier, false},
    {"organisation", organisation, false},
    {"enrolment", enrolment, false},
    {"certificate", certificate, false},
    {"clock", clock_of, false},
    {"servers", servers, false},
    {"outbox", outbox, false},
    {"tpm", tpm, false},
    {"disk space", space, true},
    {NULL, NULL, false},
};
