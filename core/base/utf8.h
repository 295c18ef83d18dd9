/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef NEAP_CORE_BASE_UTF8_H
#define NEAP_CORE_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length (1..4) of the sequence at s, of which `left` bytes exist; 0 when it is malformed. */
size_t utf8_length(const char *s, size_t left);

/* The code point of a sequence whose length utf8_length gave. */
uint32_t utf8_code_point(const char *s, size_t length);

#endif
