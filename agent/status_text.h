#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's status object as a page for people. */

/* Prints to standard output; what cannot be parsed is printed as it is. */
void status_text_print(const char *json);
