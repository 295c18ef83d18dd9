/* Patterns and subjects come from scripts and from the outside: no pair may read outside its bytes
 * or run without an end. Input: "<pattern>\n<subject>". */
#include <stdlib.h>
#include <string.h>

#include "core/script/pattern.h"

#define STEPS 200000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lua strings end with a NUL that does not count. */
static struct bytes copy(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        abort();
    }
    memcpy(text, data, size);
    text[size] = '\0';
    return bytes_of(text, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size == 0 ? NULL : memchr(data, '\n', size);
    size_t text_size = line_end == NULL ? size : (size_t)(line_end - data);
    size_t subject_at = line_end == NULL ? size : text_size + 1;
    struct bytes text = copy(data, text_size);
    struct bytes subject = copy(data + subject_at, size - subject_at);
    struct pattern p;
    const char *start = NULL;
    const char *end = NULL;
    pattern_init(&p, subject, text);
    p.steps_left = STEPS;
    if (pattern_search(&p, subject.data, &start, &end)) {
        const char *subject_end = subject.data + subject.size;
        if (p.problem != NULL || start < subject.data || end < start || end > subject_end) {
            abort();
        }
        for (int i = 0; i < p.capture_count; i++) {
            const struct pattern_capture *c = &p.captures[i];
            bool is_position = c->size == PATTERN_POSITION;
            if (c->start < subject.data || c->start > subject_end ||
                (!is_position && (c->size < 0 || c->start + c->size > subject_end))) {
                abort();
            }
        }
    }
    free((char *)text.data);
    free((char *)subject.data);
    return 0;
}
