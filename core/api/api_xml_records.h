/* xml.records: long documents piece by piece; part of neap.xml. */
#ifndef NEAP_CORE_API_API_XML_RECORDS_H
#define NEAP_CORE_API_API_XML_RECORDS_H

#include <lua.h>

void xml_records_open(lua_State *L); /* makes the type. May raise. [-0, +0] */
int xml_records_make(lua_State *L);  /* xml.records(source, names), a lua_CFunction */

#endif
