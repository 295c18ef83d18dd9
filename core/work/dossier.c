/* Facts, links and trails are one record each per key, replaced as a whole. */
#include "core/work/dossier.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/event_record.h"
#include "core/work/work_state.h"

#define FACTS_VERSION 1
#define LINK_VERSION  1
#define TRAIL_VERSION 1

void dossier_facts_free(struct dossier_facts *facts)
{
    free(facts->title);
    free(facts->state);
    free(facts->currency);
    free(facts->json);
    memset(facts, 0, sizeof *facts);
}

/* ---- Facts -------------------------------------------------------------------------------------
 */

int dossier_put_facts(struct work *work, const char *key, const struct dossier_facts *facts)
{
    struct key place;
    struct buf value;
    int rc = work_check_writable(work);
    if (rc != 0) {
        return rc;
    }
    key_begin(&place, KEY_FACTS);
    key_text(&place, key);
    work_value(&value, FACTS_VERSION);
    record_str(&value, key);
    record_str(&value, facts->title);
    record_str(&value, facts->state);
    record_str(&value, facts->currency);
    record_i64(&value, facts->amount_minor);
    record_i64(&value, facts->deadline_ms);
    record_str(&value, facts->json);
    return work_put(work, &place, &value);
}

static int decode_facts(struct bytes value, char **key_out, struct dossier_facts *facts)
{
    struct record_reader r;
    memset(facts, 0, sizeof *facts);
    record_open(&r, value);
    *key_out = record_get_str(&r);
    facts->title = record_get_str(&r);
    facts->state = record_get_str(&r);
    facts->currency = record_get_str(&r);
    facts->amount_minor = record_get_i64(&r);
    facts->deadline_ms = record_get_i64(&r);
    facts->json = record_get_str(&r);
    if (r.is_bad || r.version != FACTS_VERSION) {
        free(*key_out);
        *key_out = NULL;
        dossier_facts_free(facts);
        return ERROR_CORRUPT;
    }
    return 0;
}

int dossier_get_facts(struct work *work, const char *key, struct dossier_facts *facts_out)
{
    struct key place;
    struct bytes value;
    char *name = NULL;
    memset(facts_out, 0, sizeof *facts_out);
    key_begin(&place, KEY_FACTS);
    key_text(&place, key);
    int rc = work_get(work, &place, &value);
    rc = rc != 0 ? rc : decode_facts(value, &name, facts_out);
    free(name);
    return rc;
}

struct facts_walk {
    const char *prefix;
    dossier_each_fn fn;
    void *arg;
};

static int visit_facts(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct facts_walk *walk = arg;
    struct dossier_facts facts;
    char *name = NULL;
    if (decode_facts(value, &name, &facts) != 0) {
        return 0;
    }
    bool is_match = strncmp(name, walk->prefix, strlen(walk->prefix)) == 0;
    int rc = is_match ? walk->fn(walk->arg, name, &facts) : 0;
    free(name);
    dossier_facts_free(&facts);
    return rc;
}

int dossier_each(struct work *work, const char *prefix, dossier_each_fn fn, void *arg)
{
    struct facts_walk walk = {prefix, fn, arg};
    struct key all;
    key_begin(&all, KEY_FACTS);
    return work_range(work, &all, false, visit_facts, &walk);
}

/* ---- Links -------------------------------------------------------------------------------------
 */

static void link_key(struct key *place, enum key_table table, const char *first, const char *second)
{
    key_begin(place, table);
    key_text(place, first);
    key_text(place, second);
}

static char *get_text(struct work *work, const struct key *place)
{
    struct bytes value;
    if (work_get(work, place, &value) != 0) {
        return NULL;
    }
    struct record_reader r;
    record_open(&r, value);
    free(record_get_str(&r)); /* the other half of the key, for listings */
    char *text = record_get_str(&r);
    if (r.is_bad) {
        free(text);
        return NULL;
    }
    return text;
}

static int put_text(struct work *work, const struct key *place, const char *label, const char *text)
{
    struct buf value;
    work_value(&value, LINK_VERSION);
    record_str(&value, label);
    record_str(&value, text);
    return work_put(work, place, &value);
}

static int put_link(struct work *work, const char *key, const char *system, const char *id)
{
    struct key place;
    int rc = 0;
    char *old = dossier_get_link(work, key, system);
    char *owner = old == NULL ? NULL : dossier_find_by_link(work, system, old);
    if (old != NULL && strcmp(old, id) != 0 && owner != NULL && strcmp(owner, key) == 0) {
        link_key(&place, KEY_LINKED, system, old);
        rc = work_delete(work, &place);
    }
    free(owner);
    free(old);
    if (rc == 0) {
        link_key(&place, KEY_LINK, key, system);
        rc = put_text(work, &place, system, id);
    }
    if (rc == 0) {
        link_key(&place, KEY_LINKED, system, id);
        rc = put_text(work, &place, id, key);
    }
    return rc;
}

int dossier_put_link(struct work *work, const char *key, const char *system, const char *id)
{
    if (strlen(system) > EVENT_NAME_MAX || strlen(id) > EVENT_KEY_MAX) {
        return ERROR_LIMIT;
    }
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, put_link(work, key, system, id));
}

char *dossier_get_link(struct work *work, const char *key, const char *system)
{
    struct key place;
    link_key(&place, KEY_LINK, key, system);
    return get_text(work, &place);
}

char *dossier_find_by_link(struct work *work, const char *system, const char *id)
{
    struct key place;
    link_key(&place, KEY_LINKED, system, id);
    return get_text(work, &place);
}

struct link_walk {
    dossier_link_fn fn;
    void *arg;
};

static int visit_link(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct link_walk *walk = arg;
    struct record_reader r;
    record_open(&r, value);
    char *system = record_get_str(&r);
    char *id = record_get_str(&r);
    int rc = r.is_bad ? 0 : walk->fn(walk->arg, system, id);
    free(system);
    free(id);
    return rc;
}

int dossier_each_link(struct work *work, const char *key, dossier_link_fn fn, void *arg)
{
    struct link_walk walk = {fn, arg};
    struct key prefix;
    key_begin(&prefix, KEY_LINK);
    key_text(&prefix, key);
    return work_range(work, &prefix, false, visit_link, &walk);
}

/* ---- Penny trail -------------------------------------------------------------------------------
 */

int dossier_put_trail(struct work *work, const char *key, struct bytes json)
{
    struct key place;
    struct buf value;
    int rc = work_check_writable(work);
    if (rc != 0) {
        return rc;
    }
    key_begin(&place, KEY_TRAIL);
    key_text(&place, key);
    work_value(&value, TRAIL_VERSION);
    record_bytes(&value, json);
    record_i64(&value, work_now_ms(work)); /* for retention */
    return work_put(work, &place, &value);
}

int dossier_get_trail(struct work *work, const char *key, struct bytes *json_out)
{
    struct key place;
    struct bytes value;
    key_begin(&place, KEY_TRAIL);
    key_text(&place, key);
    int rc = work_get(work, &place, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    *json_out = record_get_bytes(&r);
    return r.is_bad || r.version != TRAIL_VERSION ? ERROR_CORRUPT : 0;
}
