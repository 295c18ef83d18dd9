/*
 * Reader of compiled zone files (TZif, RFC 8536, versions 1 to 4). The file is outside data: every
 * count is bounded before it is used and every byte is read through one checked cursor.
 *
 * Version 2 and later repeat the data with 64-bit times; the first block is then skipped.
 */
#include "core/base/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/instant.h"
#include "core/base/xalloc.h"
#include "core/base/zone_rule.h"

#define ZONE_FOLDER          "/usr/share/zoneinfo"
#define ZONE_NAME_MAX        64
#define ZONE_FILE_MAX        (256u << 10) /* the largest today is 4 KiB */
#define ZONE_TRANSITIONS_MAX 4096
#define ZONE_TYPES_MAX       256
#define ZONE_CHARS_MAX       4096
#define ZONE_OFFSET_MAX_S    (26 * 3600)
#define ZONE_NEAR_S          INT64_C(86400) /* further from a clock time than any offset change */

/* Years 1 to 9998: offsets never carry an instant out of the calendar's 0 to 9999. */
#define ZONE_MIN_S (-INT64_C(62135596800))
#define ZONE_MAX_S INT64_C(253370764799)

struct zone_transition {
    int64_t utc_s;
    int32_t offset_s; /* from then on */
};

struct zone {
    char *name;
    int32_t first_offset_s; /* before the first transition */
    struct zone_transition *transitions;
    size_t transition_count;
    struct zone_rule rule; /* after the last transition */
    bool has_rule;
};

/* ---- the file ---- */

struct tzif_cursor {
    const unsigned char *at;
    size_t left;
    bool is_bad;
};

struct tzif_header {
    unsigned version;
    uint32_t ut_count;
    uint32_t standard_count;
    uint32_t leap_count;
    uint32_t time_count;
    uint32_t type_count;
    uint32_t char_count;
};

static const unsigned char *take(struct tzif_cursor *c, size_t size)
{
    if (c->is_bad || c->left < size) {
        c->is_bad = true;
        return NULL;
    }
    const unsigned char *at = c->at;
    c->at += size;
    c->left -= size;
    return at;
}

static uint64_t take_big_endian(struct tzif_cursor *c, unsigned size)
{
    const unsigned char *at = take(c, size);
    uint64_t value = 0;
    for (unsigned i = 0; at != NULL && i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static int64_t take_signed(struct tzif_cursor *c, unsigned size)
{
    uint64_t value = take_big_endian(c, size);
    return size == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

static void take_header(struct tzif_cursor *c, struct tzif_header *h)
{
    const unsigned char *magic = take(c, 4);
    c->is_bad = c->is_bad || memcmp(magic, "TZif", 4) != 0;
    h->version = (unsigned)take_big_endian(c, 1);
    take(c, 15);
    h->ut_count = (uint32_t)take_big_endian(c, 4);
    h->standard_count = (uint32_t)take_big_endian(c, 4);
    h->leap_count = (uint32_t)take_big_endian(c, 4);
    h->time_count = (uint32_t)take_big_endian(c, 4);
    h->type_count = (uint32_t)take_big_endian(c, 4);
    h->char_count = (uint32_t)take_big_endian(c, 4);
    /* Leap seconds occur in the "right/" files only, which count seconds nobody else counts. */
    c->is_bad = c->is_bad || h->ut_count > ZONE_TYPES_MAX || h->standard_count > ZONE_TYPES_MAX ||
                h->leap_count != 0 || h->time_count > ZONE_TRANSITIONS_MAX || h->type_count == 0 ||
                h->type_count > ZONE_TYPES_MAX || h->char_count > ZONE_CHARS_MAX;
}

static void skip_block(struct tzif_cursor *c, const struct tzif_header *h, unsigned time_size)
{
    take(c, (size_t)h->time_count * (time_size + 1) + (size_t)h->type_count * 6 + h->char_count +
                h->standard_count + h->ut_count);
}

static void take_block(struct tzif_cursor *c, const struct tzif_header *h, unsigned time_size,
                       struct zone *zone)
{
    struct tzif_cursor times = {take(c, (size_t)h->time_count * time_size), 0, false};
    const unsigned char *indexes = take(c, h->time_count);
    int32_t offsets[ZONE_TYPES_MAX];
    for (uint32_t i = 0; i < h->type_count; i++) {
        offsets[i] = (int32_t)take_signed(c, 4);
        take(c, 2); /* is summer, index of the abbreviation */
        c->is_bad = c->is_bad || offsets[i] < -ZONE_OFFSET_MAX_S || offsets[i] > ZONE_OFFSET_MAX_S;
    }
    take(c, (size_t)h->char_count + h->standard_count + h->ut_count);
    if (c->is_bad) {
        return;
    }
    times.left = (size_t)h->time_count * time_size;
    zone->first_offset_s = offsets[0];
    zone->transitions = xcalloc(h->time_count, sizeof(*zone->transitions));
    zone->transition_count = h->time_count;
    for (uint32_t i = 0; i < h->time_count; i++) {
        int64_t utc_s = take_signed(&times, time_size);
        bool is_in_order = i == 0 || utc_s > zone->transitions[i - 1].utc_s;
        if (indexes[i] >= h->type_count || !is_in_order) {
            c->is_bad = true;
            return;
        }
        zone->transitions[i] = (struct zone_transition){utc_s, offsets[indexes[i]]};
    }
}

/* A newline, the rule (or nothing), a newline. */
static void take_footer(struct tzif_cursor *c, struct zone *zone)
{
    const unsigned char *newline = take(c, 1);
    const unsigned char *end = c->left == 0 ? NULL : memchr(c->at, '\n', c->left);
    if (c->is_bad || *newline != '\n' || end == NULL) {
        c->is_bad = true;
        return;
    }
    size_t size = (size_t)(end - c->at);
    zone->has_rule = size > 0;
    if (size > 0 && zone_rule_parse(bytes_of(c->at, size), &zone->rule) != 0) {
        c->is_bad = true;
    }
}

static int parse_file(struct bytes content, struct zone *zone, struct error *err)
{
    struct tzif_cursor c = {(const unsigned char *)content.data, content.size, false};
    struct tzif_header h;
    take_header(&c, &h);
    if (!c.is_bad && h.version == 0) {
        take_block(&c, &h, 4, zone);
    } else if (!c.is_bad) {
        skip_block(&c, &h, 4);
        take_header(&c, &h);
        if (!c.is_bad) {
            take_block(&c, &h, 8, zone);
        }
        if (!c.is_bad) {
            take_footer(&c, zone);
        }
    }
    if (c.is_bad) {
        return error_set(err, ERROR_CORRUPT, "the file of time zone %s is damaged", zone->name);
    }
    return 0;
}

static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno;
    }
    struct stat st;
    int rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : ENOENT;
    char block[4096];
    ssize_t size = 1;
    while (rc == 0 && size > 0) {
        size = read(fd, block, sizeof(block));
        if (size < 0 || buf_add(out, block, (size_t)(size > 0 ? size : 0)) != 0) {
            rc = size < 0 ? errno : EFBIG;
        }
    }
    close(fd);
    return rc;
}

static bool is_zone_name(const char *name)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_+-/";
    size_t size = strlen(name);
    /* No dot is allowed, so no ".." and no file beside the zones' (tzdata.zi, zone.tab). */
    return size > 0 && size <= ZONE_NAME_MAX && name[0] != '/' && strspn(name, ALLOWED) == size;
}

static int load(struct zone *zone, struct error *err)
{
    const char *folder = getenv("NEAP_ZONEINFO");
    char *path = xasprintf("%s/%s", folder == NULL ? ZONE_FOLDER : folder, zone->name);
    struct buf content;
    buf_init(&content, ZONE_FILE_MAX);
    int rc = 0;
    int sys_errno = read_file(path, &content);
    if (sys_errno == ENOENT || sys_errno == ENOTDIR) {
        rc = error_set(err, ERROR_NOT_FOUND, "there is no time zone %s (no file %s)", zone->name,
                       path);
    } else if (sys_errno != 0) {
        rc = error_set_errno(err, ERROR_IO, sys_errno, "reading time zone file %s", path);
    } else {
        rc = parse_file(buf_bytes(&content), zone, err);
    }
    buf_free(&content);
    free(path);
    return rc;
}

struct zone *zone_open(const char *name, struct error *err)
{
    if (!is_zone_name(name)) {
        error_set(err, ERROR_INVALID, "\"%.64s\" is not the name of a time zone", name);
        return NULL;
    }
    struct zone *zone = xcalloc(1, sizeof(*zone));
    zone->name = xstrdup(name);
    bool is_utc = strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0;
    if (!is_utc && load(zone, err) != 0) {
        zone_close(zone);
        return NULL;
    }
    return zone;
}

void zone_close(struct zone *zone)
{
    if (zone == NULL) {
        return;
    }
    free(zone->transitions);
    free(zone->name);
    free(zone);
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

/* ---- use ---- */

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

int32_t zone_offset_s(const struct zone *zone, int64_t utc_s)
{
    utc_s = clamp(utc_s, ZONE_MIN_S, ZONE_MAX_S);
    size_t count = zone->transition_count;
    bool is_after = count == 0 || utc_s >= zone->transitions[count - 1].utc_s;
    if (is_after && zone->has_rule) {
        return zone_rule_offset_s(&zone->rule, utc_s);
    }
    size_t low = 0; /* transitions before `low` are at or before utc_s */
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->transitions[middle].utc_s <= utc_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? zone->first_offset_s : zone->transitions[low - 1].offset_s;
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

void zone_parts_at(const struct zone *zone, int64_t wall_ms, struct zone_parts *out)
{
    int64_t utc_s = clamp(floor_div(wall_ms, 1000), ZONE_MIN_S, ZONE_MAX_S);
    int32_t offset_s = zone_offset_s(zone, utc_s);
    struct instant_parts parts = {0};
    int rc = instant_to_parts((utc_s + offset_s) * 1000, &parts);
    int64_t days = floor_div(utc_s + offset_s, 86400);
    (void)rc; /* cannot fail between the bounds above */
    *out = (struct zone_parts){.year = parts.year,
                               .month = parts.month,
                               .day = parts.day,
                               .hour = parts.hour,
                               .minute = parts.minute,
                               .second = parts.second,
                               .weekday = (int)(((days + 4) % 7 + 7) % 7),
                               .offset_s = offset_s};
}

/* The clock reading as seconds since 1970, as if the zone were UTC. */
static int64_t clock_reading_s(const struct zone_parts *p)
{
    int64_t months = (int64_t)p->year * 12 + ((int64_t)p->month - 1);
    int64_t year = floor_div(months, 12);
    struct instant_parts first = {
        .year = (int)clamp(year, 0, 9999), .month = (int)(months - year * 12) + 1, .day = 1};
    int64_t reading = instant_from_parts(&first) / 1000 + ((int64_t)p->day - 1) * 86400 +
                      (int64_t)p->hour * 3600 + (int64_t)p->minute * 60 + p->second;
    return clamp(reading, ZONE_MIN_S, ZONE_MAX_S);
}

/* The first second in (low, high] whose offset is not that at low. */
static int64_t change_between(const struct zone *zone, int64_t low, int64_t high)
{
    int32_t before = zone_offset_s(zone, low);
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (zone_offset_s(zone, middle) == before) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

int64_t zone_to_wall_ms(const struct zone *zone, const struct zone_parts *parts)
{
    int64_t reading = clock_reading_s(parts);
    int32_t before = zone_offset_s(zone, reading - ZONE_NEAR_S);
    int32_t after = zone_offset_s(zone, reading + ZONE_NEAR_S);
    int64_t first = reading - before; /* the instant, if the earlier offset holds there */
    int64_t second = reading - after;
    bool is_first = zone_offset_s(zone, first) == before;
    bool is_second = zone_offset_s(zone, second) == after;
    if (is_first && is_second) {
        return (first < second ? first : second) * 1000;
    }
    if (is_first || is_second) {
        return (is_first ? first : second) * 1000;
    }
    return change_between(zone, second, first) * 1000;
}
