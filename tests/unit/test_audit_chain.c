/* The audit chain notices what was changed, taken out or cut off. */
#include "core/store/keys.h"
#include "tests/support/work_world.h"

static struct world *with_three(void)
{
    struct world *w = world_open(world_done);
    for (int i = 0; i < 3; i++) {
        struct audit_entry entry = {
            .who = "eve", .action = "login", .subject = "console", .detail = "{}"};
        CHECK_INT(audit_append(w->work, &entry), 0);
    }
    world_settle(w);
    return w;
}

static void key_of(struct key *key, uint64_t seq)
{
    key_begin(key, KEY_AUDIT);
    key_u64(key, seq);
}

static int count_entry(void *arg, const struct audit_entry *entry, const uint8_t *hash)
{
    (void)hash;
    CHECK_STR(entry->who, "eve");
    (*(int *)arg)++;
    return 0;
}

static void an_honest_chain_verifies(void)
{
    struct world *w = with_three();
    uint64_t count = 0;
    struct error err;
    world_restart(w);
    CHECK_INT(audit_verify(w->work, &count, &err), 0);
    CHECK_INT(count, 3);
    int seen = 0;
    CHECK_INT(audit_each(w->work, 2, count_entry, &seen), 0);
    CHECK_INT(seen, 2);
    world_close(w);
}

static void a_changed_record_is_named(void)
{
    struct world *w = with_three();
    struct key key;
    struct bytes value;
    struct error err;
    uint64_t count;
    key_of(&key, 2);
    CHECK_INT(store_get(w->store, key_bytes(&key), &value), 0);
    char *copy = xstrndup("", 0);
    copy = xrealloc(copy, value.size);
    memcpy(copy, value.data, value.size);
    for (size_t i = 0; i + 2 < value.size; i++) {
        if (memcmp(copy + i, "eve", 3) == 0) {
            memcpy(copy + i, "bob", 3);
        }
    }
    CHECK_INT(store_put(w->store, key_bytes(&key), bytes_of(copy, value.size)), 0);
    free(copy);
    CHECK_INT(audit_verify(w->work, &count, &err), ERROR_CORRUPT);
    CHECK(strstr(err.message, "record 2") != NULL);
    world_close(w);
}

static void a_missing_record_is_noticed(void)
{
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct world *w = with_three();
        struct key key;
        struct error err;
        uint64_t count;
        key_of(&key, seq);
        CHECK_INT(store_delete(w->store, key_bytes(&key)), 0);
        CHECK_INT(audit_verify(w->work, &count, &err), ERROR_CORRUPT);
        world_close(w);
    }
}

int main(void)
{
    tap_case("an honest chain verifies", an_honest_chain_verifies);
    tap_case("a changed record is named", a_changed_record_is_named);
    tap_case("a missing record is noticed, the last one too", a_missing_record_is_noticed);
    return tap_done();
}
