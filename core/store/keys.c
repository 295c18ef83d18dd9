/* Keys are built in place, in a value on the caller's stack: no key ever needs memory of its own.
 */
#include "core/store/keys.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

const char *key_table_name(uint8_t table)
{
    switch (table) {
#define KEY_TABLE_CASE(symbol, byte, layout)                                                       \
    case byte:                                                                                     \
        return #symbol;
        KEY_TABLE_LIST(KEY_TABLE_CASE)
#undef KEY_TABLE_CASE
    default:
        return NULL;
    }
}

static void add(struct key *key, const void *data, size_t size)
{
    assert(key->size + size <= sizeof key->data);
    if (size > 0) {
        memcpy(key->data + key->size, data, size);
    }
    key->size += size;
}

void key_begin(struct key *key, enum key_table table)
{
    key->size = 0;
    key_u8(key, (uint8_t)table);
}

void key_u8(struct key *key, uint8_t value)
{
    add(key, &value, 1);
}

void key_u64(struct key *key, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    add(key, bytes, sizeof bytes);
}

void key_text(struct key *key, const char *text)
{
    key_text_bytes(key, bytes_str(text));
}

void key_text_bytes(struct key *key, struct bytes text)
{
    if (text.size <= KEY_TEXT_MAX) {
        key_u8(key, (uint8_t)text.size);
        add(key, text.data, text.size);
        return;
    }
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.data, text.size, digest);
    key_u8(key, KEY_HASH_MARK);
    add(key, digest, sizeof digest);
}

void key_raw(struct key *key, struct bytes raw)
{
    add(key, raw.data, raw.size);
}

struct bytes key_bytes(const struct key *key)
{
    return bytes_of(key->data, key->size);
}

void key_after_prefix(struct key *key)
{
    /* The table byte is below 0xFF, so this always ends. */
    while (key->data[key->size - 1] == 0xFF) {
        key->size--;
    }
    key->data[key->size - 1]++;
}

uint64_t key_u64_at(struct bytes key, size_t offset)
{
    if (key.size < offset + 8) {
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | (uint8_t)key.data[offset + i];
    }
    return value;
}

uint64_t key_last_u64(struct bytes key)
{
    return key.size < 9 ? 0 : key_u64_at(key, key.size - 8);
}
