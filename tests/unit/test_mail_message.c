/* E-mails as bytes: what goes in cannot leave its place. */
#include "core/net/mail_message.h"

#include <string.h>

#include "tests/support/tap.h"

static const char *const one[] = {"a@x.example"};

static struct mail_message plain(void)
{
    struct mail_message m = {.from = "neap@x.example",
                             .to = one,
                             .to_count = 1,
                             .subject = "Stock code TS-RED-L does not exist",
                             .text = bytes_str("12 wait.\n"),
                             .key = "first-1",
                             .date_ms = INT64_C(1777888980123)};
    return m;
}

static char *write_one(const struct mail_message *m)
{
    struct buf out;
    struct error err;
    buf_init(&out, (size_t)4 << 20);
    error_clear(&err);
    CHECK_INT(mail_message_write(m, &out, &err), 0);
    size_t size;
    return buf_take(&out, &size);
}

static void test_a_plain_message(void)
{
    struct mail_message m = plain();
    char *text = write_one(&m);
    CHECK_STR(text, "Date: Mon, 04 May 2026 10:03:00 +0000\r\n"
                    "From: <neap@x.example>\r\n"
                    "To: <a@x.example>\r\n"
                    "Subject: Stock code TS-RED-L does not exist\r\n"
                    "Message-ID: <ea8d47f20b41c9846ef06e8abda10856af44df34@x.example>\r\n"
                    "Auto-Submitted: auto-generated\r\n"
                    "MIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n"
                    "\r\n"
                    "12 wait.\r\n");
    free(text);
}

static void test_other_than_ascii_is_encoded_between_characters(void)
{
    struct mail_message m = plain();
    m.from_name = "Neap (Fellside)";
    m.subject = "Größe: \xe2\x82\xac 5 \xf0\x9f\x98\x80 und so weiter, damit zwei Wörter entstehen";
    char *text = write_one(&m);
    CHECK(strstr(text, "From: =?UTF-8?B?TmVhcCAoRmVsbHNpZGUp?=\r\n <neap@x.example>\r\n") != NULL);
    CHECK(strstr(text,
                 "Subject: =?UTF-8?B?R3LDtsOfZTog4oKsIDUg8J+YgCB1bmQgc28gd2VpdGVyLCBkYW1p?=\r\n "
                 "=?UTF-8?B?dCB6d2VpIFfDtnJ0ZXIgZW50c3RlaGVu?=\r\n") != NULL);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strstr(line, "\r\n");
        CHECK(end != NULL && end - line <= 76);
        line = end == NULL ? NULL : end + 2;
    }
    free(text);
}

static void test_a_text_that_looks_encoded_is_encoded(void)
{
    struct mail_message m = plain();
    m.subject = "=?UTF-8?B?x?=";
    char *text = write_one(&m);
    CHECK(strstr(text, "Subject: =?UTF-8?B?PT9VVEYtOD9CP3g/PQ==?=\r\n") != NULL);
    free(text);
}

static void test_texts_are_quoted(void)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"a=b", "a=3Db\r\n"},
        {"blank \ntab\t", "blank=20\r\ntab=09\r\n"},
        {"a\r\nb\rc", "a\r\nb=0Dc\r\n"},
        {".\n..", ".\r\n..\r\n"},
        {"\xc3\xbc", "=C3=BC\r\n"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_message m = plain();
        m.text = bytes_str(cases[i].text);
        char *text = write_one(&m);
        CHECK_STR(strstr(text, "\r\n\r\n") + 4, cases[i].expected);
        free(text);
    }
    char longest[1001];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[1000] = '\0';
    struct mail_message m = plain();
    m.text = bytes_str(longest);
    char *text = write_one(&m);
    CHECK(strstr(strstr(text, "\r\n\r\n"), "x=\r\nx") != NULL);
    free(text);
}

static void test_what_cannot_be_sent_is_refused(void)
{
    static const char *const twice[] = {"a@x.example", "b@x.example>\r\nData"};
    struct mail_message cases[9];
    size_t count = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < count; i++) {
        cases[i] = plain();
    }
    cases[0].subject = "a\r\nBcc: b@x.example";
    cases[1].subject = "a\xe2\x80\xa8"
                       "b";
    cases[2].subject = "\xff";
    cases[3].from = "neap@x.example>";
    cases[4].from_name = "a\nb";
    cases[5].to = twice;
    cases[5].to_count = 2;
    cases[6].to_count = 0;
    cases[7].text = bytes_str("\xc0\x80");
    cases[8].from = "@x.example";
    for (size_t i = 0; i < count; i++) {
        struct buf out;
        struct error err;
        buf_init(&out, 65536);
        error_clear(&err);
        CHECK_INT(mail_message_write(&cases[i], &out, &err), ERROR_INVALID);
        CHECK(err.message[0] != '\0');
        buf_free(&out);
    }
}

int main(void)
{
    tap_case("a plain message", test_a_plain_message);
    tap_case("other than ASCII is encoded between characters",
             test_other_than_ascii_is_encoded_between_characters);
    tap_case("a text that looks encoded is encoded", test_a_text_that_looks_encoded_is_encoded);
    tap_case("texts are quoted", test_texts_are_quoted);
    tap_case("what cannot be sent is refused", test_what_cannot_be_sent_is_refused);
    return tap_done();
}
