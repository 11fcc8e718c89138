#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-desk audit erase: personal data of the desk's own log. */

/* entries: numbers as "3,7-9"; who: whose word it is, put on record first. Returns an exit code after a word
 * on standard error or output. */
int desk_erase(const char *root, const char *entries, const char *who);
