/* Cron expressions come from manifests people write: no input may crash the parser, and what it
 * accepts must give a later instant or none. Input: "<seconds>|<expression>" or an expression. */
#include <stdlib.h>
#include <string.h>

#include "core/work/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    const char *expression = strchr(text, '|');
    int64_t after_s = expression == NULL ? 1800000000 : strtoll(text, NULL, 10);
    expression = expression == NULL ? text : expression + 1;
    if (after_s < 0 || after_s > 100000000000LL) {
        return 0;
    }
    struct cron cron;
    struct error err;
    error_clear(&err);
    if (cron_parse(&cron, expression, &err) != 0) {
        if (err.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    int64_t next = cron_next_ms(&cron, NULL, after_s * 1000);
    if (next != -1 && (next <= after_s * 1000 || next % 60000 != 0)) {
        abort();
    }
    return 0;
}
