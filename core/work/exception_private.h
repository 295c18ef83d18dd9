/* Between exception.c (records, waiters, closing) and exception_act.c (what persons do). All run
 * inside a unit of the caller. */
#ifndef NEAP_CORE_WORK_EXCEPTION_PRIVATE_H
#define NEAP_CORE_WORK_EXCEPTION_PRIVATE_H

#include "core/work/exception.h"
#include "core/work/work_state.h"

/* exception_close. */
int exception_close_here(struct work *work, const char *cause, const char *subject,
                         const struct exception_closing *closing) NEAP_MUST_USE;
/* Takes the exception and its waiters out of the store; ids are the jobs that waited, seq_out is
 * the number of its closing. */
int exception_take_out(struct work *work, const struct exception *e,
                       const struct exception_closing *closing, struct id_list *ids,
                       uint64_t *seq_out) NEAP_MUST_USE;
/* Tells the flows of these jobs what a person did. */
int exception_tell(struct work *work, const struct exception *e, uint64_t closed_seq,
                   const struct exception_closing *closing,
                   const struct id_list *ids) NEAP_MUST_USE;
/* The jobs that stand still because of it. */
int exception_collect_stopped(struct work *work, const struct exception *e,
                              struct id_list *ids) NEAP_MUST_USE;

#endif
