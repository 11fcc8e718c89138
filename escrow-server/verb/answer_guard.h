#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* With --json whoever asked gets one JSON object on standard output in any case: where a verb failed without
 * a result of its own, the sentence that it said on standard error, as {"error":{"exit":N,"message":"..."}}.
 */

/* From now on what goes to both streams is looked at. err: none; where memory is short nothing is added */
void answer_guard_begin(void);
/* code: the verb's exit code, which is returned */
int answer_guard_end(int code);
