#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's status object as a page for people. */

#include <json-c/json.h>
#include <stdbool.h>

/* Prints to standard output. all: also the devices that are no volumes, each with its reason */
void status_text_print(struct json_object *o, bool all);
