/* Checks that only look: files are opened and closed again, zones too. */
#include "core/script/manifest_value.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/zone.h"

#define PIN_PREFIX       "sha256//"
#define PIN_DIGEST_CHARS 43 /* 32 bytes in base64, then one "=" */

bool manifest_is_secret_header(const char *name)
{
    static const char *const parts[] = {"token", "key", "secret", "password"};
    if (strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Cookie") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t size = strlen(parts[i]);
        for (const char *at = name; *at != '\0'; at++) {
            if (strncasecmp(at, parts[i], size) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool manifest_is_pinned_key(const char *text)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (;;) {
        if (strncmp(text, PIN_PREFIX, strlen(PIN_PREFIX)) != 0) {
            return false;
        }
        text += strlen(PIN_PREFIX);
        if (strspn(text, base64) != PIN_DIGEST_CHARS || text[PIN_DIGEST_CHARS] != '=') {
            return false;
        }
        text += PIN_DIGEST_CHARS + 1;
        if (*text != ';') {
            return *text == '\0';
        }
        text++;
    }
}

int manifest_check_file(const char *path, struct error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    int rc = fd < 0 ? errno : 0;
    if (rc == 0 && fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
        rc = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc == 0 ? 0 : error_set_errno(err, ERROR_IO, rc, "%s cannot be read", path);
}

int manifest_check_zone(const char *name, struct error *err)
{
    struct zone *zone = zone_open(name, err);
    if (zone == NULL) {
        return err->code;
    }
    zone_close(zone);
    return 0;
}
