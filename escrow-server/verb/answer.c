/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/verb/answer.h"
#include <json-c/json.h>
#include <stdio.h>

void answer_json(const struct answer_member *m)
{
    struct json_object *o = json_object_new_object();
    for (; m->name != NULL; m++)
        json_object_object_add(o, m->name,
                               m->text != NULL ? json_object_new_string(m->text)
                                               : json_object_new_uint64(m->number));
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}
