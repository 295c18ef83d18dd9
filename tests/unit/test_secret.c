/* Secrets: where they come from, what is refused, and that they are blanked. */
#include "core/base/secret.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

struct fixture {
    char folder[256];
    struct secrets *secrets;
    struct error err;
};

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    temp_folder_make(f->folder, sizeof(f->folder));
    f->secrets = secrets_new(f->folder);
}

static void tear_down(struct fixture *f)
{
    secrets_free(f->secrets);
    temp_folder_remove(f->folder);
    log_shutdown();
}

static void add_file(struct fixture *f, const char *name, struct bytes content)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, content.data, content.size) == (ssize_t)content.size);
    close(fd);
}

static void a_file_beats_the_environment(void)
{
    struct fixture f;
    set_up(&f);
    setenv("NEAP_TEST_BOTH", "from the environment", 1);
    setenv("NEAP_TEST_ENV", "only there", 1);
    add_file(&f, "NEAP_TEST_BOTH", bytes_str("from the file\n"));
    CHECK_STR(secrets_get(f.secrets, "NEAP_TEST_BOTH", &f.err), "from the file");
    CHECK_STR(secrets_get(f.secrets, "NEAP_TEST_ENV", &f.err), "only there");
    unsetenv("NEAP_TEST_BOTH");
    unsetenv("NEAP_TEST_ENV");
    tear_down(&f);
}

static void only_one_newline_is_removed(void)
{
    static const struct {
        const char *content;
        const char *expected;
    } CASES[] = {{"plain", "plain"},   {"unix\n", "unix"},       {"dos\r\n", "dos"},
                 {"two\n\n", "two\n"}, {" spaces ", " spaces "}, {"inside\nit", "inside\nit"}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct fixture f;
        set_up(&f);
        add_file(&f, "S", bytes_str(CASES[i].content));
        CHECK_STR(secrets_get(f.secrets, "S", &f.err), CASES[i].expected);
        tear_down(&f);
    }
}

static void a_secret_is_read_once(void)
{
    struct fixture f;
    set_up(&f);
    add_file(&f, "S", bytes_str("first"));
    const char *text = secrets_get(f.secrets, "S", &f.err);
    add_file(&f, "S", bytes_str("second"));
    CHECK(secrets_get(f.secrets, "S", &f.err) == text);
    CHECK_STR(text, "first");
    tear_down(&f);
}

static void bad_names_and_texts_are_refused(void)
{
    static char big[70000];
    memset(big, 'x', sizeof(big));
    struct fixture f;
    set_up(&f);
    add_file(&f, "EMPTY", bytes_str("\n"));
    add_file(&f, "BINARY", bytes_of("a\0b", 3));
    add_file(&f, "BIG", bytes_of(big, sizeof(big)));
    add_file(&f, "LARGEST", bytes_of(big, 65536));
    char path[400];
    snprintf(path, sizeof(path), "%s/FOLDER", f.folder);
    CHECK_INT(mkdir(path, 0700), 0);
    static const struct {
        const char *name;
        int code;
    } CASES[] = {
        {"", ERROR_INVALID},       {"../S", ERROR_INVALID},
        {"a/b", ERROR_INVALID},    {".hidden", ERROR_INVALID},
        {"A=B", ERROR_INVALID},    {"EMPTY", ERROR_INVALID},
        {"BINARY", ERROR_INVALID}, {"BIG", ERROR_LIMIT},
        {"FOLDER", ERROR_IO},      {"NEAP_TEST_NOWHERE", ERROR_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        error_clear(&f.err);
        CHECK(secrets_get(f.secrets, CASES[i].name, &f.err) == NULL);
        CHECK_INT(f.err.code, CASES[i].code);
    }
    const char *largest = secrets_get(f.secrets, "LARGEST", &f.err);
    CHECK(largest != NULL && strlen(largest) == 65536);
    tear_down(&f);
}

static void the_message_says_where_it_looked(void)
{
    struct secrets *secrets = secrets_new("/run/secrets");
    struct error err;
    CHECK(secrets_get(secrets, "KHAOS_PASSWORD", &err) == NULL);
    CHECK_STR(err.message, "secret KHAOS_PASSWORD is neither a file in /run/secrets nor an "
                           "environment variable");
    secrets_free(secrets);
    secrets = secrets_new(NULL);
    CHECK(secrets_get(secrets, "KHAOS_PASSWORD", &err) == NULL);
    CHECK_STR(err.message, "secret KHAOS_PASSWORD is not an environment variable");
    secrets_free(secrets);
}

static void known_secrets_are_blanked(void)
{
    static const struct {
        const char *text;
        const char *expected;
        bool has_replaced;
    } CASES[] = {
        {"user:hunter2@host", "user:***@host", true},
        {"hunter2hunter2", "******", true},
        {"hunter2-and-more", "***", true}, /* the longer secret, not its beginning */
        {"hunter", "hunter", false},
        {"abc stays", "abc stays", false}, /* too short to blank */
        {"", "", false},
        {"x hunter2-and-more y hunter2", "x *** y ***", true},
    };
    struct fixture f;
    set_up(&f);
    add_file(&f, "A", bytes_str("hunter2"));
    add_file(&f, "B", bytes_str("hunter2-and-more"));
    add_file(&f, "C", bytes_str("abc"));
    CHECK(secrets_get(f.secrets, "A", &f.err) != NULL);
    CHECK(secrets_get(f.secrets, "B", &f.err) != NULL);
    CHECK(secrets_get(f.secrets, "C", &f.err) != NULL);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf text;
        buf_init(&text, 1000);
        buf_add_str(&text, CASES[i].text);
        CHECK(secrets_redact(f.secrets, &text) == CASES[i].has_replaced);
        CHECK_STR(buf_text(&text), CASES[i].expected);
        CHECK_INT(text.size, strlen(CASES[i].expected));
        buf_free(&text);
    }
    tear_down(&f);
}

int main(void)
{
    tap_case("a file beats the environment", a_file_beats_the_environment);
    tap_case("only one newline is removed", only_one_newline_is_removed);
    tap_case("a secret is read once", a_secret_is_read_once);
    tap_case("bad names and texts are refused", bad_names_and_texts_are_refused);
    tap_case("the message says where it looked", the_message_says_where_it_looked);
    tap_case("known secrets are blanked", known_secrets_are_blanked);
    return tap_done();
}
