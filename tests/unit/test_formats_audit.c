/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_chain.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define NOW 1735689600u

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    /* thousands of fdatasync(): in memory where there is a file system there */
    strcpy(folder, "/dev/shm/keyholt-audit-XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/keyholt-audit-XXXXXX");
        if (!mkdtemp(folder))
            return -1;
    }
    snprintf(path, sizeof path, "%s/audit.log", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path);
    return rmdir(folder);
}

static struct audit_entry entry(const char *reason)
{
    struct audit_entry e = {.time = NOW,
                            .who = "Ada",
                            .role = "desk",
                            .action = AUDIT_DISCLOSE,
                            .key_id = "3FD763F9-74C7-4E90-8FA2-1F6A2E2B4E0C",
                            .volume = "E9726FAB-7656-4BC5-BB9E-ADF115953328"};
    snprintf(e.reason, sizeof e.reason, "%s", reason);
    return e;
}

static struct audit_chain *open_log(void)
{
    struct audit_chain *c = NULL;
    assert_int_equal(audit_open(path, NOW, &c), ERR_OK);
    return c;
}

static void append(struct audit_chain *c, const char *reason)
{
    struct audit_entry e = entry(reason);
    assert_int_equal(audit_append(c, &e), ERR_OK);
}

/* A log of n entries: one that says it was made, and n - 1 disclosures. */
static struct audit_head write_log(unsigned n)
{
    struct audit_chain *c = open_log();
    struct audit_head head;
    for (unsigned i = 1; i < n; i++)
        append(c, "a \"quoted\" gr\xc3\xbcnd \\ / <b>");
    audit_get_head(c, &head);
    audit_close(c);
    assert_int_equal(head.n, n);
    return head;
}

static size_t read_log(char *ret, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, ret, cap);
    close(fd);
    assert_true(n > 0 && (size_t)n < cap);
    return (size_t)n;
}

static void replace_log(const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

struct seen {
    unsigned n;
    struct audit_entry last;
};

static enum err see(void *ctx, const struct audit_entry *e, const char *line, size_t len)
{
    struct seen *seen = ctx;
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', len - 1));
    assert_int_equal(e->n, ++seen->n);
    seen->last = *e;
    return ERR_OK;
}

static void grows_and_verifies(void **state)
{
    (void)state;
    struct audit_head written = write_log(3), head;
    struct seen seen = {0};
    struct stat st;
    size_t torn = 99;
    assert_int_equal(audit_verify(path, see, &seen, &head, &torn), ERR_OK);
    assert_int_equal(torn, 0);
    assert_int_equal(seen.n, 3);
    assert_memory_equal(&head, &written, sizeof head);
    assert_string_equal(seen.last.reason, "a \"quoted\" gr\xc3\xbcnd \\ / <b>");
    assert_string_equal(seen.last.who, "Ada");
    assert_string_equal(seen.last.device, "");
    assert_string_equal(seen.last.chain, head.chain);
    assert_int_equal(strlen(head.chain), 32);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct audit_chain *c = open_log(); /* opening a whole log adds nothing */
    append(c, "again");
    audit_close(c);
    assert_int_equal(audit_verify(path, NULL, NULL, &head, &torn), ERR_OK);
    assert_int_equal(head.n, 4);
    assert_string_equal(head.chain, written.chain);
}

static void first_entry_says_so(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct audit_head head;
    size_t torn;
    write_log(1);
    assert_int_equal(audit_verify(path, see, &seen, &head, &torn), ERR_OK);
    assert_string_equal(seen.last.action, AUDIT_OPEN_LOG);
    assert_string_equal(seen.last.prev, "0000000000000000000000000000000000000000000000000000000000000000");
}

/* Cut anywhere: whole entries stay, the torn one goes, an entry tells it, and the chain verifies again. */
static void every_truncation(void **state)
{
    (void)state;
    char whole[4096], torn_detail[64];
    write_log(3);
    size_t len = read_log(whole, sizeof whole);
    for (size_t cut = 0; cut < len; cut++) {
        struct seen seen = {0};
        struct audit_head head;
        size_t torn = 99, tail = 0;
        while (tail < cut && whole[cut - tail - 1] != '\n')
            tail++;
        unsigned n_whole = 0;
        for (size_t i = 0; i < cut; i++)
            n_whole += whole[i] == '\n';
        replace_log(whole, cut);
        assert_int_equal(audit_verify(path, NULL, NULL, &head, &torn), ERR_OK);
        if (torn != tail || head.n != n_whole)
            fail_msg("cut at %zu: %zu torn, %u whole", cut, torn, (unsigned)head.n);
        audit_close(open_log());
        assert_int_equal(audit_verify(path, see, &seen, &head, &torn), ERR_OK);
        snprintf(torn_detail, sizeof torn_detail, "of %zu bytes", tail);
        bool told = n_whole == 0 || tail == 0 || strstr(seen.last.note, torn_detail);
        if (torn != 0 || seen.n != n_whole + (n_whole == 0 || tail > 0) || !told)
            fail_msg("cut at %zu: not mended (%u entries)", cut, seen.n);
    }
}

static void every_bit_flip(void **state)
{
    (void)state;
    char whole[4096], bad[4096];
    write_log(3);
    size_t len = read_log(whole, sizeof whole), last_line = len - 1;
    while (whole[last_line - 1] != '\n')
        last_line--;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        struct audit_head head;
        struct audit_chain *c = NULL;
        size_t torn = 0;
        memcpy(bad, whole, len);
        bad[bit / 8] = (char)(bad[bit / 8] ^ (1u << bit % 8));
        replace_log(bad, len);
        enum err err = audit_verify(path, NULL, NULL, &head, &torn);
        /* The last line has no successor yet: its hash is the head, which somebody else has to know. */
        if (bit / 8 < last_line && err != ERR_AUTH && err != ERR_FORMAT)
            fail_msg("bit %zu of byte %zu: %s", bit % 8, bit / 8, err_name(err));
        if (err != ERR_OK && audit_open(path, NOW, &c) != err)
            fail_msg("bit %zu of byte %zu: opened for writing", bit % 8, bit / 8);
    }
}

static void lines_out_of_order(void **state)
{
    (void)state;
    char whole[4096], moved[8192];
    struct audit_head head = {0}, first;
    write_log(3);
    size_t len = read_log(whole, sizeof whole);
    size_t one = (size_t)((char *)memchr(whole, '\n', len) - whole) + 1;
    size_t two = (size_t)((char *)memchr(whole + one, '\n', len - one) - whole) + 1;
    struct audit_entry e;
    assert_int_equal(audit_check_line(&head, whole, one, &e), ERR_OK);
    first = head;
    assert_int_equal(audit_check_line(&head, whole, one, NULL), ERR_AUTH);             /* again */
    assert_int_equal(audit_check_line(&head, whole + two, len - two, NULL), ERR_AUTH); /* one left out */
    assert_int_equal(audit_check_line(&head, whole + one, two - one - 1, NULL), ERR_FORMAT); /* no newline */
    assert_int_equal(audit_check_line(&head, whole + one, len - one, NULL), ERR_FORMAT);     /* two lines */
    assert_memory_equal(&head, &first, sizeof head);
    assert_int_equal(audit_check_line(&head, whole + one, two - one, NULL), ERR_OK);
    memset(moved, ' ', sizeof moved); /* white space would be good JSON, but too long a line */
    memcpy(moved, whole + two, len - two - 1);
    assert_int_equal(audit_check_line(&head, moved, AUDIT_LINE_MAX + 1, NULL), ERR_RANGE);
    replace_log(whole + one, len - one); /* the first entry cut away */
    size_t torn = 0;
    assert_int_equal(audit_verify(path, NULL, NULL, &head, &torn), ERR_AUTH);
    assert_int_equal(head.n, 0);
}

static void two_at_once(void **state)
{
    (void)state;
    struct audit_chain *first = open_log(), *second = NULL;
    assert_int_equal(audit_open(path, NOW, &second), ERR_BUSY);
    assert_null(second);
    audit_close(first);
    audit_close(open_log());
}

static void bad_texts(void **state)
{
    (void)state;
    struct audit_chain *c = open_log();
    struct audit_head before, after;
    struct audit_entry e;
    audit_get_head(c, &before);
    static const char *const bad[] = {"two\nlines", "\x1b[2J", "\xff", "\xc2\x9b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e = entry(bad[i]);
        if (audit_append(c, &e) != ERR_FORMAT)
            fail_msg("reason %zu taken", i);
    }
    e = entry("");
    e.who[0] = 0;
    assert_int_equal(audit_append(c, &e), ERR_FORMAT);
    e = entry("");
    memset(e.who, 'x', sizeof e.who); /* no zero byte */
    assert_int_equal(audit_append(c, &e), ERR_RANGE);
    audit_get_head(c, &after);
    assert_memory_equal(&before, &after, sizeof before);
    e = entry("");
    memset(e.reason, '"', AUDIT_TEXT); /* the longest texts, all escaped, still fit a line */
    memset(e.detail, '"', AUDIT_TEXT);
    memset(e.who, '"', AUDIT_WHO);
    assert_int_equal(audit_append(c, &e), ERR_OK);
    audit_close(c);
    audit_close(open_log());
}

static void no_place_to_write(void **state)
{
    (void)state;
    struct audit_chain *c = NULL;
    char elsewhere[128];
    assert_int_equal(mkdir(path, 0700), 0); /* a folder in its place */
    assert_int_equal(audit_open(path, NOW, &c), ERR_FORMAT);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/full", path), 0);
    assert_int_equal(audit_open(path, NOW, &c), ERR_FORMAT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(audit_open(path, NOW, &c), ERR_FORMAT);
    assert_int_equal(unlink(path), 0);
    snprintf(elsewhere, sizeof elsewhere, "%s/no/audit.log", folder);
    assert_int_equal(audit_open(elsewhere, NOW, &c), ERR_NOT_FOUND);
    assert_null(c);
}

/* A full disk, played by a file-size limit: the entry is refused, nothing of it stays, and when there is room
 * again the chain goes on. */
static void full_disk(void **state)
{
    (void)state;
    struct audit_chain *c = open_log();
    struct stat before, after;
    struct rlimit old, tight;
    struct audit_entry e = entry("no room");
    append(c, "room");
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < 200; room += 100) { /* nothing fits, or a part */
        tight = (struct rlimit){(rlim_t)before.st_size + room, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        enum err err = audit_append(c, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(stat(path, &after), 0);
        if (err == ERR_OK || after.st_size != before.st_size)
            fail_msg("room for %u bytes: %s, %d bytes more", (unsigned)room, err_name(err),
                     (int)(after.st_size - before.st_size));
    }
    append(c, "room again");
    audit_close(c);
    audit_close(open_log());
}

static void file_changed_meanwhile(void **state)
{
    (void)state;
    struct audit_entry e = entry("x");
    char away[128];
    snprintf(away, sizeof away, "%s/away.log", folder);
    for (unsigned how = 0; how < 5; how++) {
        struct audit_chain *c = open_log();
        append(c, "before");
        if (how == 0)
            assert_int_equal(truncate(path, 10), 0);
        else if (how == 1) {
            int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
            assert_int_equal(write(fd, "x", 1), 1);
            close(fd);
        } else if (how == 2)
            assert_int_equal(unlink(path), 0);
        else
            assert_int_equal(rename(path, away), 0);
        if (how == 4) /* as logrotate does */
            replace_log("", 0);
        if (audit_append(c, &e) != ERR_CONFLICT)
            fail_msg("change %u was not noticed", how);
        audit_close(c);
        unlink(path);
        unlink(away);
    }
}

static void a_log_that_must_be_there(void **state)
{
    (void)state;
    struct audit_chain *c = NULL;
    struct audit_head head;
    assert_int_equal(audit_open_made(path, NOW, &c), ERR_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    replace_log("", 0);
    assert_int_equal(audit_open_made(path, NOW, &c), ERR_CONFLICT);
    replace_log("{\"n\":1", 6);
    assert_int_equal(audit_open_made(path, NOW, &c), ERR_CONFLICT);
    unlink(path);
    write_log(2);
    assert_int_equal(audit_open_made(path, NOW, &c), ERR_OK);
    append(c, "goes on");
    audit_get_head(c, &head);
    audit_close(c);
    assert_int_equal(head.n, 3);
}

/* Written by hand after docs/formats.md, hashed by sha256sum(1). */
#define KNOWN_PERSONAL                                                                                       \
    "{\"salt\":\"000102030405060708090a0b0c0d0e0f\",\"who\":\"Ada\",\"reason\":\"r\",\"detail\":\"\"}"
#define KNOWN_CORE                                                                                           \
    "{\"n\":1,\"time\":1735689600,\"chain\":\"abababababababababababababababab\",\"role\":\"system\","       \
    "\"action\":\"open-log\",\"key_id\":\"\",\"volume\":\"\",\"device\":\"\",\"note\":\"made\","             \
    "\"personal\":\"614b6093e81ec33883d660753ada3ccc8a8d6237d036d3beb7f6f4f6dd33ee05\","                     \
    "\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\"}"

static void known_line(void **state)
{
    (void)state;
    static const char line[] = KNOWN_CORE "\t" KNOWN_PERSONAL "\n";
    static const uint8_t hash[32] = {0xba, 0x89, 0x74, 0x82, 0x18, 0x3d, 0xf9, 0x09, 0xf1, 0x2e, 0x4f,
                                     0x56, 0xd4, 0x2a, 0x76, 0xa0, 0x1e, 0xbe, 0x5c, 0x70, 0x64, 0xba,
                                     0xb3, 0x60, 0xc4, 0xeb, 0xe7, 0xd1, 0x8d, 0xbc, 0x14, 0x7e};
    struct audit_head head = {.n = 0};
    struct audit_entry e;
    assert_int_equal(audit_check_line(&head, line, sizeof line - 1, &e), ERR_OK);
    assert_string_equal(e.who, "Ada");
    assert_string_equal(e.note, "made");
    assert_false(e.erased);
    assert_memory_equal(e.hash, hash, sizeof hash);
    assert_memory_equal(head.hash, hash, sizeof hash);
    static const struct {
        const char *name, *tail;
        enum err err;
    } rows[] = {
        {"no tab", "\n", ERR_FORMAT},
        {"nothing behind the tab", "\t\n", ERR_AUTH},
        {"another salt",
         "\t{\"salt\":\"100102030405060708090a0b0c0d0e0f\",\"who\":\"Ada\",\"reason\":\"r\","
         "\"detail\":\"\"}\n",
         ERR_AUTH},
        {"erased", "\t     \n", ERR_OK},
        {"half erased", "\t     \"salt\":\n", ERR_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[AUDIT_LINE_MAX];
        head = (struct audit_head){.n = 0};
        snprintf(text, sizeof text, "%s%s", KNOWN_CORE, rows[i].tail);
        enum err err = audit_check_line(&head, text, strlen(text), &e);
        if (err != rows[i].err ||
            (err == ERR_OK && (!e.erased || e.who[0] != 0 || memcmp(e.hash, hash, 32) != 0)))
            fail_msg("%s: %s", rows[i].name, err_name(err));
    }
}

/* What is personal goes, the chain stays, and its head with it; the log may be open. */
static void erases(void **state)
{
    (void)state;
    char whole[8192];
    struct audit_head before = write_log(5), after;
    struct audit_chain *c = open_log();
    struct seen seen = {0};
    size_t torn, len = read_log(whole, sizeof whole);
    unsigned n = 9;
    assert_non_null(memmem(whole, len, "quoted", 6));
    assert_int_equal(audit_erase(path, (const uint64_t[]){2, 3, 4, 5, 77}, 5, &n), ERR_OK);
    assert_int_equal(n, 4);
    assert_int_equal(read_log(whole, sizeof whole), len);
    assert_null(memmem(whole, len, "quoted", 6));
    assert_null(memmem(whole, len, "Ada", 3));
    assert_int_equal(audit_verify(path, see, &seen, &after, &torn), ERR_OK);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(seen.last.erased);
    assert_string_equal(seen.last.who, "");
    assert_string_equal(seen.last.key_id, "3FD763F9-74C7-4E90-8FA2-1F6A2E2B4E0C");
    append(c, "goes on");
    audit_close(c);
    assert_int_equal(audit_erase(path, (const uint64_t[]){2}, 1, &n), ERR_OK); /* again */
    assert_int_equal(n, 1);
    audit_close(open_log());
    static const uint64_t many[AUDIT_ERASE_MAX + 1] = {0};
    assert_int_equal(audit_erase(path, many, AUDIT_ERASE_MAX + 1, &n), ERR_RANGE);
    unlink(path);
    assert_int_equal(audit_erase(path, many, 1, &n), ERR_NOT_FOUND);
}

static void compares(void **state)
{
    (void)state;
    char whole[8192], other[128];
    uint64_t a, b, common;
    unsigned n;
    snprintf(other, sizeof other, "%s/other.log", folder);
    write_log(4);
    size_t len = read_log(whole, sizeof whole);
    assert_int_equal(audit_compare(path, other, &a, &b, &common), ERR_OK);
    assert_true(a == 4 && b == 0 && common == 0);
    assert_int_equal(rename(path, other), 0);
    size_t three = len - 1;
    while (whole[three - 1] != '\n')
        three--;
    replace_log(whole, three);
    assert_int_equal(audit_erase(path, (const uint64_t[]){2}, 1, &n), ERR_OK);
    assert_int_equal(audit_compare(path, other, &a, &b, &common), ERR_OK);
    assert_true(a == 3 && b == 4 && common == 3);
    unlink(path);
    write_log(4); /* another chain */
    assert_int_equal(audit_compare(path, other, &a, &b, &common), ERR_OK);
    assert_true(a == 4 && b == 4 && common == 0);
    replace_log(whole + 1, len - 1);
    assert_int_equal(audit_compare(path, other, &a, &b, &common), ERR_FORMAT);
    unlink(other);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(grows_and_verifies),
        WITH_FOLDER(first_entry_says_so),
        WITH_FOLDER(every_truncation),
        WITH_FOLDER(every_bit_flip),
        WITH_FOLDER(lines_out_of_order),
        WITH_FOLDER(two_at_once),
        WITH_FOLDER(bad_texts),
        WITH_FOLDER(no_place_to_write),
        WITH_FOLDER(full_disk),
        WITH_FOLDER(file_changed_meanwhile),
        WITH_FOLDER(a_log_that_must_be_there),
        cmocka_unit_test(known_line),
        WITH_FOLDER(erases),
        WITH_FOLDER(compares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
