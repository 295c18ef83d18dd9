/*
 * A long document read piece by piece. What must hold: any bytes end in records or in an error;
 * however they are cut into pieces, the records found are the same, and so is whether all of it
 * could be read. The first byte says how large the pieces are.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/xml_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEEN_MAX ((size_t)8 << 20)

/* The records as one text, so that two readings can be compared. */
static int read_in_pieces(struct bytes text, size_t step, struct buf *seen)
{
    static const char *const having[] = {"StockCode", "code"};
    struct xml_records *r = xml_records_new(having, 2);
    const struct xml_field *fields;
    size_t count;
    struct error err;
    int rc = 0;
    size_t at = 0;
    do {
        size_t take = text.size - at < step ? text.size - at : step;
        bool is_last = at + take == text.size;
        rc = xml_records_feed(r, bytes_of(text.data + at, take), is_last, &err);
        at += take;
        while (rc == 0 && xml_records_next(r, &fields, &count)) {
            buf_add_str(seen, "record\n");
            for (size_t i = 0; i < count; i++) {
                buf_addf(seen, "%s=", fields[i].name);
                buf_add(seen, fields[i].value.data, fields[i].value.size);
                buf_add_str(seen, "\n");
            }
        }
    } while (rc == 0 && at < text.size);
    xml_records_free(r);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct bytes text = bytes_of((const char *)data + 1, size - 1);
    struct buf whole;
    struct buf pieces;
    buf_init(&whole, SEEN_MAX);
    buf_init(&pieces, SEEN_MAX);
    int rc = read_in_pieces(text, text.size + 1, &whole);
    int rc_pieces = read_in_pieces(text, (size_t)data[0] % 16 + 1, &pieces);
    bool is_same = (rc == 0) == (rc_pieces == 0) &&
                   (rc != 0 || bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)));
    if (!is_same) {
        fprintf(stderr, "whole %d: %s\npieces %d: %s\n", rc, buf_text(&whole), rc_pieces,
                buf_text(&pieces));
        abort();
    }
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
