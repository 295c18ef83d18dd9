/* Writing events, for inbox.c only. */
#ifndef NEAP_CORE_WORK_EVENT_STORE_H
#define NEAP_CORE_WORK_EVENT_STORE_H

#include "core/work/event_record.h"

int event_store(struct work *work, const struct event_record *event) NEAP_MUST_USE;
int event_store_identity(struct work *work, const struct event_record *event) NEAP_MUST_USE;
int event_store_payload(struct work *work, uint64_t seq, struct bytes payload) NEAP_MUST_USE;
/* Without the payload. */
int event_load_head(struct work *work, uint64_t seq, struct event_record *event_out) NEAP_MUST_USE;
/*
 * A repeat of event seq: *is_news_out says whether its payload is another than the one received,
 * for the first such repeat only; that it was told is kept. Payloads that are gone are not
 * compared.
 */
int event_compare_repeat(struct work *work, const struct event_new *repeat, uint64_t seq,
                         bool *is_news_out) NEAP_MUST_USE;

#endif
