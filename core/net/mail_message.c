/* Headers are plain ASCII or encoded words of RFC 2047 (base64); the text is quoted-printable. */
#include "core/net/mail_message.h"

#include <stdio.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/utf8.h"
#include "core/net/http_fields.h"

#define PLAIN_MAX      60 /* a longer header text is encoded, so that no line has to be folded */
#define WORD_BYTES_MAX 39 /* of text in one encoded word: with "Subject: " still one line of 76 */
#define LINE_MAX_CHARS 75 /* of quoted-printable, without the soft break's "=" */
#define ID_HEX_CHARS   40

/* ---- addresses ---- */

static bool is_address_char(char c)
{
    bool is_word =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
    return is_word || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

int mail_check_address(const char *address, struct error *err)
{
    const char *at = strchr(address, '@');
    size_t size = strlen(address);
    if (size > MAIL_ADDRESS_MAX) {
        return error_set(err, ERROR_INVALID, "an e-mail address has at most %d characters",
                         MAIL_ADDRESS_MAX);
    }
    bool is_good = at != NULL && at != address && at[1] != '\0' && strchr(at + 1, '@') == NULL;
    for (size_t i = 0; i < size && is_good; i++) {
        is_good = address[i] == '@' || is_address_char(address[i]);
    }
    return is_good ? 0
                   : error_set(err, ERROR_INVALID, "an e-mail address (name@example.com) expected");
}

static int check_addresses(const struct mail_message *m, struct error *err)
{
    if (mail_check_address(m->from, err) != 0) {
        return error_wrap(err, "from");
    }
    if (m->to_count == 0) {
        return error_set(err, ERROR_INVALID, "to: nobody is named");
    }
    for (size_t i = 0; i < m->to_count; i++) {
        if (mail_check_address(m->to[i], err) != 0) {
            return error_wrap(err, "to");
        }
    }
    return 0;
}

/* ---- texts of headers ---- */

/* UTF-8 without control characters. */
static int check_line(const char *name, const char *text, struct error *err)
{
    size_t size = strlen(text);
    if (size > MAIL_SUBJECT_MAX) {
        return error_set(err, ERROR_INVALID, "%s: at most %d bytes expected", name,
                         MAIL_SUBJECT_MAX);
    }
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length(text + i, size - i);
        if (length == 0) {
            return error_set(err, ERROR_INVALID, "%s: not UTF-8", name);
        }
        uint32_t c = utf8_code_point(text + i, length);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
            return error_set(err, ERROR_INVALID, "%s: a line end or control character", name);
        }
        i += length;
    }
    return 0;
}

/* is_phrase: before an address, where only words and blanks may stand unencoded. */
static bool is_plain(const char *text, bool is_phrase)
{
    size_t size = strlen(text);
    if (size > PLAIN_MAX || strstr(text, "=?") != NULL || (size > 0 && text[0] == ' ')) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && c != ' ' && (is_phrase || c < ' ' || c > '~')) {
            return false;
        }
    }
    return true;
}

static void add_word(struct buf *out, struct bytes text)
{
    char encoded[(WORD_BYTES_MAX + 2) / 3 * 4];
    base64_encode(text, encoded);
    buf_add_str(out, "=?UTF-8?B?");
    buf_add(out, encoded, base64_encoded_size(text.size));
    buf_add_str(out, "?=");
}

static void add_text(struct buf *out, const char *text, bool is_phrase)
{
    if (is_plain(text, is_phrase)) {
        buf_add_str(out, text);
        return;
    }
    size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        size_t end = at;
        for (size_t length = utf8_length(text + at, size - at);
             length > 0 && end + length - at <= WORD_BYTES_MAX;
             length = end < size ? utf8_length(text + end, size - end) : 0) {
            end += length; /* words end between characters */
        }
        buf_add_str(out, at == 0 ? "" : "\r\n ");
        add_word(out, bytes_of(text + at, end - at));
        at = end;
    }
}

static void add_date(struct buf *out, int64_t ms)
{
    char text[HTTP_DATE_SIZE];
    http_date_format(ms, text); /* the same form but for the zone */
    buf_addf(out, "Date: %.*s+0000\r\n", (int)strcspn(text, "G"), text);
}

static int add_id(struct buf *out, const struct mail_message *m, struct error *err)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE];
    if (digest_sha256(bytes_str(m->key), digest) != 0) {
        return error_set(err, ERROR_LIMIT, "no memory for the Message-ID");
    }
    hex_encode(bytes_of(digest, sizeof(digest)), hex);
    buf_addf(out, "Message-ID: <%.*s%s>\r\n", ID_HEX_CHARS, hex, strchr(m->from, '@'));
    return 0;
}

static int add_headers(struct buf *out, const struct mail_message *m, struct error *err)
{
    add_date(out, m->date_ms);
    buf_add_str(out, "From: ");
    if (m->from_name != NULL && m->from_name[0] != '\0') {
        add_text(out, m->from_name, true);
        buf_add_str(out, is_plain(m->from_name, true) ? " " : "\r\n ");
    }
    buf_addf(out, "<%s>\r\nTo: ", m->from);
    for (size_t i = 0; i < m->to_count; i++) {
        buf_addf(out, "%s<%s>", i == 0 ? "" : ",\r\n ", m->to[i]);
    }
    buf_add_str(out, "\r\nSubject: ");
    add_text(out, m->subject, false);
    buf_add_str(out, "\r\n");
    int rc = add_id(out, m, err);
    buf_add_str(out, "Auto-Submitted: auto-generated\r\n" /* nobody's absence notice answers */
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: quoted-printable\r\n"
                     "\r\n");
    return rc;
}

/* ---- the text ---- */

static bool is_utf8(struct bytes text)
{
    for (size_t i = 0; i < text.size;) {
        size_t length = utf8_length(text.data + i, text.size - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

/* One line without its end. */
static void add_quoted_line(struct buf *out, struct bytes line)
{
    size_t column = 0;
    for (size_t i = 0; i < line.size; i++) {
        unsigned char c = (unsigned char)line.data[i];
        bool is_last = i + 1 == line.size;
        bool is_as_is = (c > ' ' && c <= '~' && c != '=') || ((c == ' ' || c == '\t') && !is_last);
        size_t width = is_as_is ? 1 : 3;
        if (column + width > LINE_MAX_CHARS) {
            buf_add_str(out, "=\r\n");
            column = 0;
        }
        if (is_as_is) {
            buf_add_char(out, (char)c);
        } else {
            buf_addf(out, "=%02X", c);
        }
        column += width;
    }
    buf_add_str(out, "\r\n");
}

static void add_quoted(struct buf *out, struct bytes text)
{
    for (size_t at = 0; at < text.size;) {
        const char *end = memchr(text.data + at, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - text.data) - at;
        size_t shown =
            size > 0 && end != NULL && text.data[at + size - 1] == '\r' ? size - 1 : size;
        add_quoted_line(out, bytes_of(text.data + at, shown));
        at += size + 1;
    }
}

int mail_message_write(const struct mail_message *m, struct buf *out, struct error *err)
{
    int rc = check_addresses(m, err);
    rc = rc != 0 ? rc : check_line("subject", m->subject, err);
    rc = rc != 0 || m->from_name == NULL ? rc : check_line("from_name", m->from_name, err);
    if (rc != 0) {
        return rc;
    }
    if (m->text.size > MAIL_TEXT_MAX || !is_utf8(m->text)) {
        return error_set(err, ERROR_INVALID, "text: UTF-8 of at most %zu bytes expected",
                         MAIL_TEXT_MAX);
    }
    rc = add_headers(out, m, err);
    add_quoted(out, m->text);
    return rc == 0 && out->has_failed ? error_set(err, ERROR_LIMIT, "the message is too large")
                                      : rc;
}
