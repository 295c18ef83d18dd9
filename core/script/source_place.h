/* Where in a client's files a setting is written: problems found in tables get file and line back.
 */
#ifndef NEAP_CORE_SCRIPT_SOURCE_PLACE_H
#define NEAP_CORE_SCRIPT_SOURCE_PLACE_H

/*
 * "client.lua: connections.khaos.rate_burst: words" becomes "client.lua:17: connections...: words",
 * or "mappings/tax.lua:4: flows...: words" where the path leads through a require. What cannot be
 * found keeps the place of what is around it; a message of another form is given back as it is.
 * Caller frees.
 *
 * The files are read as written, not run: tables, require and locals of the same file are followed.
 */
char *source_place(const char *folder, const char *message);

#endif
