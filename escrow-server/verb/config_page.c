/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-server.conf(5), from the table that reads the file. */
#include "escrow-server/conf_table.h"
#include "escrow-server/verb/verbs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    ".\\\" SPDX-License-Identifier: GPL-3.0-or-later\n"
    ".TH KEYHOLT\\-SERVER.CONF 5 \"\" \"keyholt " KEYHOLT_VERSION "\" \"Keyholt\"\n"
    ".SH NAME\n"
    "keyholt\\-server.conf \\- configuration of the escrow server\n"
    ".SH SYNOPSIS\n"
    ".I /etc/keyholt/server.conf\n"
    ".SH DESCRIPTION\n"
    "A line is KEY = VALUE, or a comment behind #; white space around both counts for nothing, and a key "
    "stands\n"
    "there once.\n"
    "What is not said has the default that stands behind the key here; nothing behind it: empty.\n"
    "The file is read when the server starts (a change counts after a restart), and readable to all: there "
    "is "
    "no\n"
    "secret in it.\n"
    "Numbers are decimal and without a unit behind them.\n"
    ".B keyholt\\-server check\\-config\n"
    "tries it and starts nothing; with\n"
    ".B \\-\\-defaults\n"
    "it prints a whole file.\n"
    ".SH KEYS\n";

static const char foot[] =
    ".SH FILES\n"
    ".I /usr/share/keyholt/server.conf\n"
    "has every key with its default.\n"
    ".SH EXAMPLES\n"
    "One server that shows /metrics to Prometheus on the same machine, sends its audit log\n"
    "to a receiver, and wants a second person for what the help desk reads:\n"
    ".PP\n.nf\n"
    "listen = 0.0.0.0:8443\n"
    "metrics = 127.0.0.1:9464\n"
    "audit\\-syslog = tcp://192.0.2.7:601\n"
    "approval = helpdesk\n"
    ".fi\n.PP\n"
    "Each of two servers over one PostgreSQL:\n"
    ".PP\n.nf\n"
    "vaults = 2\n"
    "recovery = postgres://keyholt@db1,db2/keyholt?sslmode=verify\\-full&passfile=/etc/"
    "keyholt/writer.pgpass\n"
    "compliance = postgres://keyholt@db1,db2/keyholt?sslmode=verify\\-full&passfile=/etc/"
    "keyholt/writer.pgpass\n"
    ".fi\n"
    ".SH SEE ALSO\n"
    ".BR keyholt\\-server (8)\n";

/* As roff takes them: a hyphen that is one, and no line that begins with a control character. */
static void put(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool begins = i == 0 || text[i - 1] == '\n';
        if (begins && strncmp(text + i, "# ", 2) == 0) {
            i++;
            continue;
        }
        if (begins && (text[i] == '.' || text[i] == '\''))
            fputs("\\&", stdout);
        if (text[i] == '-' || text[i] == '\\')
            putchar('\\');
        putchar(text[i] == '\\' ? 'e' : text[i]);
    }
}

/* "KEY = VALUE" as a whole file has it. */
static void put_line(const char *defaults, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = defaults; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && strncmp(line + len, " =", 2) == 0)
            return put(line, strcspn(line, "\n"));
    }
}

static void put_setting(const char *defaults, const struct conf_setting *s, bool goes_on)
{
    fputs(s->comment != NULL ? ".TP\n.B \"" : ".TQ\n.B \"", stdout);
    put_line(defaults, s->name);
    fputs("\"\n", stdout);
    if (goes_on)
        return;
    fputs("Value: ", stdout);
    put(conf_values[s->kind].range, strlen(conf_values[s->kind].range));
    fputs(".\n", stdout);
}

enum err config_page(void)
{
    struct conf c;
    const char *comment = NULL;
    char *defaults = NULL;
    size_t len = 0;
    conf_init(&c);
    TRY(conf_text(&c, &defaults, &len));
    fputs(head, stdout);
    for (unsigned i = 0; i < CONF_SETTINGS; i++) {
        const struct conf_setting *s = &conf_settings[i];
        bool goes_on = i + 1 < CONF_SETTINGS && s[1].comment == NULL;
        comment = s->comment != NULL ? s->comment : comment;
        put_setting(defaults, s, goes_on);
        if (!goes_on && comment != NULL)
            put(comment, strlen(comment));
        if (!goes_on)
            putchar('\n');
    }
    free(defaults);
    fputs(foot, stdout);
    return ERR_OK;
}
