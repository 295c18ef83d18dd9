/* Do a client's files compile? Also those that nothing requires yet. */
#ifndef NEAP_CORE_SCRIPT_SOURCE_SYNTAX_H
#define NEAP_CORE_SCRIPT_SOURCE_SYNTAX_H

typedef void (*source_syntax_fn)(void *arg, const char *text);

/*
 * Compiles every .lua file below folder, text only, and runs none. Calls fn with each problem:
 * "flows/stock.lua:12: unexpected symbol near 'end'", as loading the file would say it.
 */
void source_syntax_check(const char *folder, source_syntax_fn fn, void *arg);

#endif
