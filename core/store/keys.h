/*
 * Every key of a client's store, in one place. docs/store-layout.md says the same byte by byte,
 * with the values.
 *
 * key   = table (1 byte), then components
 * u8, u64  big-endian, so that memcmp order is number order
 * text  length (1 byte, 0..120) and the bytes; longer: 0xFF and the SHA-256 (32 bytes). No text is
 * a prefix of another this way; the value holds the full text where it is needed raw   the bytes
 * themselves, only as the last component
 */
#ifndef NEAP_CORE_STORE_KEYS_H
#define NEAP_CORE_STORE_KEYS_H

#include "core/store/store.h"

#define KEY_TEXT_MAX  120
#define KEY_HASH_MARK 0xFF

/* X(symbol, table byte, components) */
#define KEY_TABLE_LIST(X)                                                                          \
    X(KEY_META, 'N', "raw name")                                                                   \
    X(KEY_EVENT, 'E', "u64 event")                                                                 \
    X(KEY_PAYLOAD, 'e', "u64 event")                                                               \
    X(KEY_ANSWER, 'A', "u64 event")                                                                \
    X(KEY_EVENT_ID, 'U', "text source, text id")                                                   \
    X(KEY_JOB, 'J', "u64 job")                                                                     \
    X(KEY_ORDER, 'O', "u8 shelf, u64 order, u64 job")                                              \
    X(KEY_INBOX, 'I', "text key, u64 job")                                                         \
    X(KEY_KEY_JOBS, 'j', "text key, u64 job")                                                      \
    X(KEY_MAILBOX, 'B', "text key, u64 event")                                                     \
    X(KEY_ALIAS, 'a', "text alias")                                                                \
    X(KEY_ALIASES_OF, 'b', "text key, text alias")                                                 \
    X(KEY_RELATED, 'k', "text name, text key")                                                     \
    X(KEY_STEP, 'S', "u64 job, u64 chain, text name")                                              \
    X(KEY_DOCUMENT, 'd', "u64 job, text name")                                                     \
    X(KEY_WAIT, 'M', "u64 job, text name")                                                         \
    X(KEY_EFFECT, 'F', "text connection, text name, text key")                                     \
    X(KEY_EFFECT_ID, 'f', "u64 effect")                                                            \
    X(KEY_EFFECT_OPEN, 'P', "text job key, u64 effect")                                            \
    X(KEY_EFFECT_REQUEST, 'q', "u64 effect")                                                       \
    X(KEY_EFFECT_ANSWER, 'r', "u64 effect")                                                        \
    X(KEY_EFFECT_RESULT, 's', "u64 effect")                                                        \
    X(KEY_EXCEPTION, 'X', "text cause, text subject")                                              \
    X(KEY_WAITER, 'V', "text cause, text subject, u64 job")                                        \
    X(KEY_WAITER_OF, 'v', "u64 job, text cause, text subject")                                     \
    X(KEY_CLOSED, 'Y', "u64 sequence")                                                             \
    X(KEY_FACTS, 'G', "text key")                                                                  \
    X(KEY_LINK, 'L', "text key, text system")                                                      \
    X(KEY_LINKED, 'l', "text system, text id")                                                     \
    X(KEY_TRAIL, 'p', "text key")                                                                  \
    X(KEY_TIMELINE, 't', "text key, u64 sequence")                                                 \
    X(KEY_AUDIT, 'H', "u64 sequence")                                                              \
    X(KEY_SCHEDULE, 'T', "text flow, text name")                                                   \
    X(KEY_PAUSE, 'Z', "u8 kind, text name")                                                        \
    X(KEY_COUNTER, 'C', "raw name")                                                                \
    X(KEY_SCRIPT, 'K', "text table, raw key")                                                      \
    X(KEY_ERASURE, 'D', "text key")                                                                \
    X(KEY_QUARANTINE, 'Q', "u64 sequence")
enum key_table {
#define KEY_TABLE_ENUM(symbol, byte, layout) symbol = (byte),
    KEY_TABLE_LIST(KEY_TABLE_ENUM)
#undef KEY_TABLE_ENUM
};

/* "KEY_JOB" for 'J', NULL for a byte that is no table. */
const char *key_table_name(uint8_t table);

/* A key under construction: a plain value. */
struct key {
    uint8_t data[STORE_KEY_MAX];
    size_t size;
};

void key_begin(struct key *key, enum key_table table);
void key_u8(struct key *key, uint8_t value);
void key_u64(struct key *key, uint64_t value);
void key_text(struct key *key, const char *text); /* NULL counts as "" */
void key_text_bytes(struct key *key, struct bytes text);
/* Asserts that it fits: check the size of what comes from outside first. */
void key_raw(struct key *key, struct bytes raw);
struct bytes key_bytes(const struct key *key); /* borrowed */

/* The smallest key above every key that begins with this one: the end of a range. */
void key_after_prefix(struct key *key);

/* Reading a stored key from its end or at an offset; 0 when it is too short. */
uint64_t key_last_u64(struct bytes key);
uint64_t key_u64_at(struct bytes key, size_t offset);

#endif
