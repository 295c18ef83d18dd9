/*
 * When the doubt about an effect began, by the monotonic clock.
 *
 * A look-up that comes too soon says "absent" of something that is still being done, and then it is
 * done twice. The instant in the ledger is one of the wall clock, which may step forward (a time
 * server after the boot, a machine moved to another host), so the process also remembers by itself
 * and the longer wait counts. A doubt that an earlier process left began, as far as this one can
 * know, when the store was opened.
 */
#ifndef NEAP_CORE_WORK_DOUBT_H
#define NEAP_CORE_WORK_DOUBT_H

#include "core/work/effect.h"

#define DOUBT_SETTLE_MAX_MS 86400000 /* a longer settle_ms is refused: so long doubts are kept */

/* How long a look-up of this effect must still wait, at most settle_ms; 0 = it may ask. */
int64_t doubt_left_ms(struct work *work, const struct effect *effect, int64_t settle_ms);

/* Private to the room: the doubt begins now. */
void doubt_begin(struct work *work, uint64_t effect_id);
void doubts_close(struct work *work);

#endif
