/* One record per counter: changed in the turn of what it counts, so it is never ahead of it. */
#include "core/work/counter.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/work_state.h"

#define COUNTER_VERSION  1
#define COUNTER_NAME_MAX 400

static bool decode(struct bytes value, int64_t *number)
{
    struct record_reader r;
    record_open(&r, value);
    *number = record_get_i64(&r);
    return !r.is_bad && r.version == COUNTER_VERSION;
}

static int64_t read_record(struct work *work, const char *name)
{
    struct key key;
    struct bytes value;
    int64_t number = 0;
    key_begin(&key, KEY_COUNTER);
    key_raw(&key, bytes_str(name));
    if (work_get(work, &key, &value) != 0 || !decode(value, &number)) {
        return 0;
    }
    return number;
}

static int add_value(void *arg, const char *name, int64_t value)
{
    (void)name;
    *(int64_t *)arg += value;
    return 0;
}

int64_t counter_get(struct work *work, const char *name)
{
    int64_t sum = read_record(work, name);
    char *of_flows = xasprintf("%s.", name);
    int rc = counter_each(work, of_flows, add_value, &sum);
    free(of_flows);
    return rc == 0 ? sum : 0;
}

int counter_add(struct work *work, const char *name, int64_t delta)
{
    if (strlen(name) > COUNTER_NAME_MAX) {
        return ERROR_LIMIT;
    }
    int rc = work_check_writable(work);
    if (rc != 0) {
        return rc;
    }
    struct key key;
    struct buf value;
    key_begin(&key, KEY_COUNTER);
    key_raw(&key, bytes_str(name));
    work_value(&value, COUNTER_VERSION);
    record_i64(&value, read_record(work, name) + delta);
    return work_put(work, &key, &value);
}

int counter_add_flow(struct work *work, const char *name, const char *flow, int64_t delta)
{
    char *of_flow = xasprintf("%s.%s", name, flow);
    int rc = counter_add(work, of_flow, delta);
    free(of_flow);
    return rc;
}

struct walk {
    counter_fn fn;
    void *arg;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    struct walk *walk = arg;
    int64_t number;
    if (!decode(value, &number)) {
        return 0;
    }
    char *name = xstrndup(key.data + 1, key.size - 1);
    int rc = walk->fn(walk->arg, name, number);
    free(name);
    return rc;
}

int counter_each(struct work *work, const char *prefix, counter_fn fn, void *arg)
{
    struct walk walk = {fn, arg};
    struct key key;
    if (strlen(prefix) > COUNTER_NAME_MAX) {
        return ERROR_LIMIT;
    }
    key_begin(&key, KEY_COUNTER);
    key_raw(&key, bytes_str(prefix));
    return work_range(work, &key, false, visit, &walk);
}
