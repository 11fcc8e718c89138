#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the model share: model.c (its state and words), model_entry.c (typing the digits),
 * model_pages.c (questions, lists, pages to read). For these alone. */

#include "efi/model.h"

/* Put a sentence on the message line. */
void model_say(struct model *m, enum model_tone tone, const char *what);
/* Let it be heard. */
void model_sound(struct model *m, enum sound sound);
/* "Group 3 is not right", "Groups 3 and 5 are not right", with what to do about it; without any, the sentence
 * that rests there. */
void model_name_wrong_groups(struct model *m);
bool model_group_wrong(const struct model *m, unsigned group);
/* All 48 digits are there and every group is right. */
bool model_all_good(const struct model *m);
/* Put the cursor there. */
void model_move_to(struct model *m, unsigned group, unsigned pos);

/* A key while digits are typed that means nothing anywhere else. */
enum model_action model_entry_key(struct model *m, enum key key);
/* A key on any page but the entry: a question, a list, something to read. */
enum model_action model_page_key(struct model *m, enum key key);
/* Put one of the questions before leaving (MODEL_ASK_…). */
void model_ask(struct model *m, enum model_phase question);
