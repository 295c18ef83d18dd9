/* Secrets by reference. Copies made on the way are zeroed before their memory is given back. */
#define _GNU_SOURCE
#include "core/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"

#define SECRET_MAX_BYTES  (64u << 10)
#define SECRET_NAME_MAX   255
#define SECRET_REDACT_MIN 4 /* as the log has it */

struct secret {
    struct secret *next; /* by falling length: a longer one may contain a shorter one */
    char *name;
    char *text;
    size_t size;
};

struct secrets {
    char *folder;
    struct secret *first;
};

struct secrets *secrets_new(const char *folder)
{
    struct secrets *secrets = xcalloc(1, sizeof(*secrets));
    secrets->folder = folder == NULL ? NULL : xstrdup(folder);
    return secrets;
}

void secrets_free(struct secrets *secrets)
{
    if (secrets == NULL) {
        return;
    }
    while (secrets->first != NULL) {
        struct secret *secret = secrets->first;
        secrets->first = secret->next;
        explicit_bzero(secret->text, secret->size);
        free(secret->text);
        free(secret->name);
        free(secret);
    }
    free(secrets->folder);
    free(secrets);
}

static const char *remember(struct secrets *secrets, const char *name, const char *text)
{
    struct secret *secret = xcalloc(1, sizeof(*secret));
    secret->name = xstrdup(name);
    secret->text = xstrdup(text);
    secret->size = strlen(text);
    struct secret **at = &secrets->first;
    while (*at != NULL && (*at)->size > secret->size) {
        at = &(*at)->next;
    }
    secret->next = *at;
    *at = secret;
    log_redact(secret->text);
    return secret->text;
}

/* Reads up to capacity bytes. Returns 0 or an errno value. */
static int read_some(const char *path, char *out, size_t capacity, size_t *size_out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not stop the host */
    if (fd < 0) {
        return errno;
    }
    struct stat st;
    int rc = fstat(fd, &st) == 0 ? (S_ISREG(st.st_mode) ? 0 : EINVAL) : errno;
    ssize_t got = 1;
    *size_out = 0;
    while (rc == 0 && got > 0 && *size_out < capacity) {
        got = read(fd, out + *size_out, capacity - *size_out);
        if (got < 0) {
            rc = errno == EINTR ? 0 : errno;
            got = 1;
        } else {
            *size_out += (size_t)got;
        }
    }
    close(fd);
    return rc;
}

static int check_text(const char *name, const char *text, size_t size, struct error *err)
{
    if (size > SECRET_MAX_BYTES) {
        return error_set(err, ERROR_LIMIT, "secret %s is longer than %u bytes", name,
                         SECRET_MAX_BYTES);
    }
    if (size == 0) {
        return error_set(err, ERROR_INVALID, "secret %s is empty", name);
    }
    if (memchr(text, '\0', size) != NULL) {
        return error_set(err, ERROR_INVALID, "secret %s contains a zero byte", name);
    }
    return 0;
}

/* ERROR_NOT_FOUND (without a message) when there is no such file. */
static int get_from_file(struct secrets *secrets, const char *name, const char **text_out,
                         struct error *err)
{
    char *path = xasprintf("%s/%s", secrets->folder, name);
    char *content = xmalloc(SECRET_MAX_BYTES + 3);
    size_t size = 0;
    int rc = 0;
    int sys_errno = read_some(path, content, SECRET_MAX_BYTES + 2, &size);
    if (sys_errno == ENOENT || sys_errno == ENOTDIR) {
        rc = ERROR_NOT_FOUND;
    } else if (sys_errno != 0) {
        rc = error_set_errno(err, ERROR_IO, sys_errno, "reading secret %s from %s", name,
                             secrets->folder);
    }
    if (rc == 0) {
        size -= size > 0 && content[size - 1] == '\n' ? 1 : 0;
        size -= size > 0 && content[size - 1] == '\r' ? 1 : 0;
        rc = check_text(name, content, size, err);
    }
    if (rc == 0) {
        content[size] = '\0';
        *text_out = remember(secrets, name, content);
    }
    explicit_bzero(content, SECRET_MAX_BYTES + 3);
    free(content);
    free(path);
    return rc;
}

static const char *get_from_environment(struct secrets *secrets, const char *name,
                                        struct error *err)
{
    const char *text = getenv(name);
    if (text != NULL) {
        return check_text(name, text, strlen(text), err) == 0 ? remember(secrets, name, text)
                                                              : NULL;
    }
    if (secrets->folder == NULL) {
        error_set(err, ERROR_NOT_FOUND, "secret %s is not an environment variable", name);
    } else {
        error_set(err, ERROR_NOT_FOUND,
                  "secret %s is neither a file in %s nor an environment variable", name,
                  secrets->folder);
    }
    return NULL;
}

const char *secrets_get(struct secrets *secrets, const char *name, struct error *err)
{
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
        strchr(name, '=') != NULL || strlen(name) > SECRET_NAME_MAX) {
        error_set(err, ERROR_INVALID, "\"%.64s\" is not the name of a secret", name);
        return NULL;
    }
    for (const struct secret *s = secrets->first; s != NULL; s = s->next) {
        if (strcmp(s->name, name) == 0) {
            return s->text;
        }
    }
    const char *text = NULL;
    int rc = ERROR_NOT_FOUND;
    if (secrets->folder != NULL) {
        rc = get_from_file(secrets, name, &text, err);
    }
    return rc == ERROR_NOT_FOUND ? get_from_environment(secrets, name, err) : text;
}

/* In place: the replacement is shorter than what it replaces. */
static bool redact_one(const struct secret *secret, struct buf *text)
{
    static const char REPLACEMENT[] = {'*', '*', '*'};
    char *from = text->data;
    char *end = text->data + text->size;
    char *to = from;
    char *hit = memmem(from, (size_t)(end - from), secret->text, secret->size);
    if (hit == NULL) {
        return false;
    }
    while (hit != NULL) {
        memmove(to, from, (size_t)(hit - from));
        to += hit - from;
        memcpy(to, REPLACEMENT, sizeof(REPLACEMENT));
        to += sizeof(REPLACEMENT);
        from = hit + secret->size;
        hit = memmem(from, (size_t)(end - from), secret->text, secret->size);
    }
    memmove(to, from, (size_t)(end - from));
    to += end - from;
    explicit_bzero(to, (size_t)(end - to)); /* what is left behind the new end may be secret */
    text->size = (size_t)(to - text->data);
    return true;
}

bool secrets_redact(const struct secrets *secrets, struct buf *text)
{
    bool has_replaced = false;
    for (const struct secret *s = secrets->first; s != NULL && text->size > 0; s = s->next) {
        if (s->size >= SECRET_REDACT_MIN) {
            has_replaced = redact_one(s, text) || has_replaced;
        }
    }
    return has_replaced;
}
