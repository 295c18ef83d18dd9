/* The integrity check of what lies in pairs: aliases, links, exceptions and waiters, effects. */
#include <stdlib.h>
#include <string.h>

#include "core/work/effect.h"
#include "core/work/integrity_private.h"

/* ---- Aliases and links -------------------------------------------------------------------------
 */

static char *get_str(struct bytes value)
{
    struct record_reader r;
    record_open(&r, value);
    char *text = record_get_str(&r);
    if (r.is_bad || r.version != INTEGRITY_VERSION) {
        free(text);
        return NULL;
    }
    return text;
}

void check_alias(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct bytes alias = parts_text(&p);
    char *key_name = get_str(c->value);
    if (checker_is_whole(c, &p) && key_name == NULL) {
        checker_tell(c, "cannot be read");
    } else if (!p.is_bad) {
        struct key key;
        key_begin(&key, KEY_ALIASES_OF);
        key_text(&key, key_name);
        key_raw(&key, alias);
        checker_need(c, &key, "entry among the aliases of its key");
    }
    free(key_name);
}

void check_alias_of(struct checker *c)
{
    struct parts p = checker_parts(c);
    (void)parts_text(&p);
    struct bytes alias = parts_text(&p);
    struct bytes value;
    struct key key;
    if (!checker_is_whole(c, &p)) {
        return;
    }
    key_begin(&key, KEY_ALIAS);
    key_raw(&key, alias);
    char *name = checker_get(c, &key, &value) ? get_str(value) : NULL;
    key_begin(&key, KEY_ALIASES_OF);
    key_text(&key, name);
    key_raw(&key, alias);
    if (name == NULL || !bytes_equal(key_bytes(&key), c->key)) {
        checker_tell(c, "the alias is of %s", name == NULL ? "nobody" : name);
    }
    free(name);
}

/* L (key, system) -> id and l (system, id) -> key: each must lead to the other. */
static void check_half(struct checker *c, enum key_table other)
{
    struct parts p = checker_parts(c);
    struct bytes first = parts_text(&p);
    struct bytes second = parts_text(&p);
    struct record_reader r;
    if (!checker_is_whole(c, &p)) {
        return;
    }
    record_open(&r, c->value);
    free(record_get_str(&r));
    char *text = record_get_str(&r);
    if (r.is_bad || r.version != INTEGRITY_VERSION) {
        checker_tell(c, "cannot be read");
    } else {
        struct key key;
        key_begin(&key, other);
        if (other == KEY_LINKED) {
            key_raw(&key, second); /* system */
            key_text(&key, text);
        } else {
            key_text(&key, text);
            key_raw(&key, first);
        }
        checker_need(c, &key, "other half of the link");
    }
    free(text);
}

void check_link(struct checker *c)
{
    check_half(c, KEY_LINKED);
}

void check_linked(struct checker *c)
{
    check_half(c, KEY_LINK);
}

/* ---- Exceptions --------------------------------------------------------------------------------
 */

void check_exception(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct bytes cause = parts_text(&p);
    struct bytes subject = parts_text(&p);
    struct record_reader r;
    if (!checker_is_whole(c, &p)) {
        return;
    }
    record_open(&r, c->value);
    uint8_t recheck = record_get_u8(&r);
    bool is_standing = record_get_u8(&r) != 0;
    (void)record_get_i64(&r);
    for (int i = 0; i < (r.version == 1 ? 5 : 6); i++) {
        (void)record_get_bytes(&r);
    }
    if (r.is_bad || recheck > RECHECK_RELOAD) {
        checker_tell(c, "cannot be read");
        return;
    }
    struct key prefix;
    uint64_t ignored;
    key_begin(&prefix, KEY_WAITER);
    key_raw(&prefix, cause);
    key_raw(&prefix, subject);
    if (!is_standing && !checker_any(c, &prefix, &ignored)) {
        checker_tell(c, "nobody waits on it");
    }
}

void check_waiter(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct bytes cause = parts_text(&p);
    struct bytes subject = parts_text(&p);
    uint64_t id = parts_u64(&p);
    struct job_info info;
    struct key key;
    if (!checker_is_whole(c, &p)) {
        return;
    }
    key = number_key(KEY_WAITER_OF, id);
    key_raw(&key, cause);
    key_raw(&key, subject);
    checker_need(c, &key, "entry among the causes of its job");
    key_begin(&key, KEY_EXCEPTION);
    key_raw(&key, cause);
    key_raw(&key, subject);
    checker_need(c, &key, "exception");
    if (!checker_job(c, id, &info)) {
        checker_tell(c, "there is no such job");
        return;
    }
    job_info_free(&info);
}

void check_waiter_of(struct checker *c)
{
    struct parts p = checker_parts(c);
    uint64_t id = parts_u64(&p);
    struct bytes cause = parts_text(&p);
    struct bytes subject = parts_text(&p);
    struct key key;
    if (!checker_is_whole(c, &p)) {
        return;
    }
    key_begin(&key, KEY_WAITER);
    key_raw(&key, cause);
    key_raw(&key, subject);
    key_u64(&key, id);
    checker_need(c, &key, "entry among those who wait on the cause");
}

/* ---- Effects -----------------------------------------------------------------------------------
 */

struct effect_view { /* texts are borrowed from the value */
    uint64_t id;
    uint8_t state;
    struct bytes names[3]; /* connection, name, key */
    struct bytes job_key;
};

static bool decode_effect(struct bytes value, struct effect_view *e)
{
    struct record_reader r;
    record_open(&r, value);
    e->id = record_get_u64(&r);
    e->state = record_get_u8(&r);
    uint8_t class = record_get_u8(&r);
    (void)record_get_u64(&r);
    for (int i = 0; i < 3; i++) { /* intended, sent, ended */
        (void)record_get_i64(&r);
    }
    (void)record_get_u32(&r);
    for (int i = 0; i < 3; i++) {
        e->names[i] = record_get_bytes(&r);
    }
    (void)record_get_bytes(&r); /* fingerprint */
    e->job_key = record_get_bytes(&r);
    (void)record_get_bytes(&r); /* error: kind, message */
    (void)record_get_bytes(&r);
    return !r.is_bad && r.version == INTEGRITY_VERSION && e->state != EFFECT_NONE &&
           e->state <= EFFECT_REFUSED && class <= EFFECT_ONCE;
}

static bool is_effect_open(const struct effect_view *e)
{
    return e->state != EFFECT_CONFIRMED && e->state != EFFECT_REFUSED;
}

static void ledger_key(struct key *key, const struct effect_view *e)
{
    key_begin(key, KEY_EFFECT);
    for (int i = 0; i < 3; i++) {
        key_text_bytes(key, e->names[i]);
    }
}

static void open_key(struct key *key, const struct effect_view *e)
{
    key_begin(key, KEY_EFFECT_OPEN);
    key_text_bytes(key, e->job_key);
    key_u64(key, e->id);
}

/* The effect behind f and its number. */
static bool find_effect(struct checker *c, struct bytes id_value, struct effect_view *e)
{
    struct record_reader r;
    struct key key = {.size = 0};
    struct bytes value;
    record_open(&r, id_value);
    struct bytes ledger = record_get_bytes(&r);
    if (r.is_bad || ledger.size > STORE_KEY_MAX) {
        return false;
    }
    key_raw(&key, ledger);
    return checker_get(c, &key, &value) && decode_effect(value, e);
}

static void check_effect_bytes(struct checker *c, const struct effect_view *e)
{
    struct key key = number_key(KEY_EFFECT_REQUEST, e->id);
    if (is_effect_open(e)) {
        checker_need(c, &key, "request: what would be sent again?");
    }
    key = number_key(KEY_EFFECT_ANSWER, e->id);
    if (e->state == EFFECT_ANSWERED) {
        checker_need(c, &key, "answer");
    }
    key = number_key(KEY_EFFECT_RESULT, e->id);
    if (e->state == EFFECT_CONFIRMED) {
        checker_need(c, &key, "result");
    }
}

void check_effect(struct checker *c)
{
    struct effect_view e;
    struct effect_view other;
    struct bytes value;
    if (!decode_effect(c->value, &e)) {
        checker_tell(c, "cannot be read");
        return;
    }
    struct key key;
    ledger_key(&key, &e);
    if (!bytes_equal(key_bytes(&key), c->key)) {
        checker_tell(c, "lies under another name than its own");
    }
    checker_note(c, SEQUENCE_EFFECT, e.id);
    key = number_key(KEY_EFFECT_ID, e.id);
    if (!checker_get(c, &key, &value) || !find_effect(c, value, &other) || other.id != e.id) {
        checker_tell(c, "is not found by its number %llu", (unsigned long long)e.id);
    }
    open_key(&key, &e);
    if (is_effect_open(&e)) {
        checker_need(c, &key, "entry among the open effects of its key");
    } else if (checker_get(c, &key, &value)) {
        checker_tell(c, "is %s and still among the open effects", effect_state_name(e.state));
    }
    check_effect_bytes(c, &e);
}

void check_effect_id(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct effect_view e;
    uint64_t id = parts_u64(&p);
    if (checker_is_whole(c, &p) && (!find_effect(c, c->value, &e) || e.id != id)) {
        checker_tell(c, "a number without its effect");
    }
}

void check_effect_open(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct effect_view e;
    struct bytes value;
    (void)parts_text(&p);
    uint64_t id = parts_u64(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    struct key key = number_key(KEY_EFFECT_ID, id);
    if (!checker_get(c, &key, &value) || !find_effect(c, value, &e)) {
        checker_tell(c, "an open effect that is not there");
        return;
    }
    open_key(&key, &e);
    if (!is_effect_open(&e) || !bytes_equal(key_bytes(&key), c->key)) {
        checker_tell(c, "effect %llu is %s, of another key or not open", (unsigned long long)id,
                     effect_state_name(e.state));
    }
}
