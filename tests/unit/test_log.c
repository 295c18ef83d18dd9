/* Log lines: what they look like, and that no secret is in them in any form. */
#include "core/base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/xalloc.h"
#include "tests/support/tap.h"

/* What fn logs, into text; standard error goes to a pipe meanwhile. */
static void catch_log(void (*fn)(void *arg), void *arg, char *text, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0) {
        abort();
    }
    int kept = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fn(arg);
    dup2(kept, STDERR_FILENO);
    close(kept);
    size_t used = 0;
    ssize_t got = 0;
    while (used + 1 < size && (got = read(ends[0], text + used, size - used - 1)) > 0) {
        used += (size_t)got;
    }
    text[used] = '\0';
    close(ends[0]);
}

struct said {
    const char *text;
    const char *fields;
};

static void say(void *arg)
{
    const struct said *said = arg;
    log_fields(LOG_INFO, "test", said->fields, "%s", said->text);
}

static const char *logged(const char *text, const char *fields)
{
    static char line[65536];
    struct said said = {text, fields};
    catch_log(say, &said, line, sizeof(line));
    return line;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static void check_shape(void)
{
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    const char *line = logged("two\nlines and a \"quote\"", "\"job\":7");
    CHECK(strncmp(line, "{\"at\":\"20", 9) == 0);
    CHECK(strstr(line, "\"level\":\"info\",\"area\":\"test\"") != NULL);
    CHECK(strstr(line, "two\\nlines and a \\\"quote\\\"\",\"job\":7}\n") != NULL);
    log_configure(LOG_INFO, LOG_FORMAT_HUMAN);
    line = logged("two\nlines", NULL);
    CHECK(strstr(line, "two lines") != NULL);
    CHECK_INT(count_of(line, "\n"), 1);
    log_configure(LOG_WARN, LOG_FORMAT_JSON);
    CHECK_STR(logged("below the level", NULL), "");
    log_shutdown();
}

struct redact_case {
    const char *secrets[3];
    const char *text;
    const char *expected; /* in the line */
};

static void check_redaction(void)
{
    static const struct redact_case CASES[] = {
        {{"hunter22"}, "token hunter22, again hunter22", "token ***, again ***\""},
        {{"****"}, "a line of ******** stars", "a line of *** stars\""},
        {{"abc"}, "abc is too short to hide", "abc is too short to hide\""},
        {{"pass", "password1"}, "with password1 and pass", "with *** and ***\""},
        {{"password1", "pass"}, "with password1 and pass", "with *** and ***\""},
        {{"abab"}, "x ababab y", "x *** y\""},
        {{"abcdef", "efghij"}, "x abcdefghij y", "x *** y\""},
        {{"say \"open\""}, "he must say \"open\" now", "he must *** now\""},
        {{"C:\\keys\\a"}, "at C:\\keys\\a there", "at *** there\""},
        {{"line1\nline2"}, "key line1\nline2 end", "key *** end\""},
        {{"tab\there"}, "key tab\there end", "key *** end\""},
    };
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        for (size_t s = 0; s < 3 && CASES[i].secrets[s] != NULL; s++) {
            log_redact(CASES[i].secrets[s]);
        }
        const char *line = logged(CASES[i].text, NULL);
        if (strstr(line, CASES[i].expected) == NULL) {
            printf("# case %zu: %s", i, line);
        }
        CHECK(strstr(line, CASES[i].expected) != NULL);
        log_shutdown();
    }
}

static void check_readable_redaction(void)
{
    log_configure(LOG_INFO, LOG_FORMAT_HUMAN);
    log_redact("line1\nline\"2");
    const char *line = logged("key line1\nline\"2 end", "\"key\":\"line1\\nline\\\"2\"");
    CHECK(strstr(line, "key *** end") != NULL);
    CHECK(strstr(line, "\"key\":\"***\"") != NULL);
    CHECK(strstr(line, "line1") == NULL);
    log_shutdown();
}

static void register_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        char *secret = xasprintf("secret-number-%04d", i);
        log_redact(secret);
        free(secret);
    }
}

static void check_limit(void)
{
    static char text[65536];
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    catch_log(register_many, NULL, text, sizeof(text));
    CHECK_INT(count_of(text, "more secrets than the log can watch for"), 1);
    CHECK(strstr(logged("secret-number-0007", NULL), "\"***\"") != NULL);
    log_shutdown();
}

static void check_long_line(void)
{
    char *text = xmalloc(8001);
    memset(text, '\x01', 8000);
    text[8000] = '\0';
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    const char *line = logged(text, NULL);
    CHECK(strlen(line) <= 16385);
    CHECK(line[strlen(line) - 1] == '\n');
    free(text);
    log_shutdown();
}

int main(void)
{
    tap_case("a line is one JSON object, or one readable line", check_shape);
    tap_case("secrets are blanked, alone, nested, overlapping and escaped", check_redaction);
    tap_case("readable lines hide flattened and escaped secrets too", check_readable_redaction);
    tap_case("too many secrets are reported once", check_limit);
    tap_case("a line that is too long still ends", check_long_line);
    return tap_done();
}
