/* File descriptors of this process: how many there may be, and are. */
#ifndef NEAP_CORE_BASE_DESCRIPTORS_H
#define NEAP_CORE_BASE_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes as many as the system permits (the hard limit); returns the limit. */
uint64_t descriptors_raise(void);
/* False when there is none left. */
bool descriptors_has_one(void);
/* *open_out is *max_out when there is none left to count them with. */
void descriptors_count(uint64_t *open_out, uint64_t *max_out);

#endif
