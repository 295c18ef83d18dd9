/*
 * Compiled zone files. What is read must answer for every instant, within a day of UTC, and the
 * instant behind a clock reading must show that reading, or be where the clock jumped.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/zone.h"
#include "tests/support/temp_folder.h"

#define OFFSET_MAX_S (26 * 3600)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *zone_file(void)
{
    static char folder[256];
    static char file[300];
    if (folder[0] == '\0') {
        temp_folder_make(folder, sizeof(folder));
        snprintf(file, sizeof(file), "%s/Fuzz", folder);
        setenv("NEAP_ZONEINFO", folder, 1);
    }
    return file;
}

static void check_instant(const struct zone *zone, int64_t wall_ms)
{
    struct zone_parts parts;
    struct zone_parts again;
    int32_t offset_s = zone_offset_s(zone, wall_ms / 1000);
    zone_parts_at(zone, wall_ms, &parts);
    if (offset_s > OFFSET_MAX_S || offset_s < -OFFSET_MAX_S || parts.month < 1 ||
        parts.month > 12 || parts.day < 1 || parts.day > 31 || parts.hour < 0 || parts.hour > 23 ||
        parts.weekday < 0 || parts.weekday > 6) {
        abort();
    }
    zone_parts_at(zone, zone_to_wall_ms(zone, &parts), &again);
    if (again.hour != parts.hour && again.offset_s == parts.offset_s) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t instants[] = {0,
                                       INT64_C(-2208988800000),
                                       INT64_C(951782400000),
                                       INT64_C(1800000000000),
                                       INT64_C(1774746000000),
                                       INT64_C(4102444800000),
                                       INT64_C(250000000000000),
                                       INT64_C(-62000000000000)};
    FILE *file = fopen(zone_file(), "w");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
    struct error err;
    error_clear(&err);
    struct zone *zone = zone_open("Fuzz", &err);
    if (zone == NULL) {
        if (err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
        check_instant(zone, instants[i]);
        for (int64_t hour = -3; hour <= 3; hour++) {
            check_instant(zone, instants[i] + hour * INT64_C(3600000));
        }
    }
    zone_close(zone);
    return 0;
}
