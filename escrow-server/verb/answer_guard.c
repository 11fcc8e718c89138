/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/answer_guard.h"
#include "formats/names.h"
#include "formats/text.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 1023
#define PREFIX      "keyholt-server: "

static struct {
    bool begun, answered; /* answered: something went to standard output */
    char message[MESSAGE_MAX + 1];
    size_t len;
} guard;

static ssize_t pass_on(int fd, const char *p, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, p + done, len - done);
        if (n <= 0)
            return 0; /* fopencookie()'s word for a failure */
        done += (size_t)n;
    }
    return (ssize_t)len;
}

static ssize_t on_output(void *unused, const char *p, size_t len)
{
    (void)unused;
    guard.answered = guard.answered || len > 0;
    return pass_on(STDOUT_FILENO, p, len);
}

static ssize_t on_error(void *unused, const char *p, size_t len)
{
    size_t room = MESSAGE_MAX - guard.len, n = len < room ? len : room;
    (void)unused;
    memcpy(guard.message + guard.len, p, n);
    guard.len += n;
    return pass_on(STDERR_FILENO, p, len);
}

void answer_guard_begin(void)
{
    FILE *out = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_output});
    FILE *error = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_error});
    guard.begun = out != NULL && error != NULL && setvbuf(error, NULL, _IONBF, 0) == 0;
    if (guard.begun) {
        stdout = out;
        stderr = error;
        return;
    }
    if (out != NULL)
        fclose(out);
    if (error != NULL)
        fclose(error);
}

/* JSON is UTF-8, and a path may be anything; or the end of what was kept is amid a character. */
static void make_utf8(char *p)
{
    while (*p != '\0') {
        size_t left = strlen(p), n = 1;
        while (n < 4 && n < left && !text_is_utf8(p, n))
            n++;
        if (!text_is_utf8(p, n)) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

/* Of a wrong command line the usage follows the sentence; that is for people. */
static void tidy(int code)
{
    char *end = code == KH_EXIT_USAGE ? strchr(guard.message, '\n') : NULL;
    if (end != NULL)
        *end = '\0';
    size_t len = strlen(guard.message);
    while (len > 0 && guard.message[len - 1] == '\n')
        guard.message[--len] = '\0';
    make_utf8(guard.message);
}

int answer_guard_end(int code)
{
    if (!guard.begun)
        return code;
    if (fflush(stdout) != 0) /* finish() in main.c says so */
        return code;
    if (code == KH_EXIT_OK || guard.answered)
        return code;
    tidy(code);
    const char *message = guard.message;
    if (strncmp(message, PREFIX, strlen(PREFIX)) == 0)
        message += strlen(PREFIX);
    message += strspn(message, " "); /* of a usage */
    struct json_object *o = json_object_new_object(), *error = json_object_new_object();
    json_object_object_add(error, "exit", json_object_new_int(code));
    json_object_object_add(error, "message", json_object_new_string(message));
    json_object_object_add(o, "error", error);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    (void)fflush(stdout);
    return code;
}
