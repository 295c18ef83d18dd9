/* The version of this build, from git describe. */
#ifndef NEAP_VERSION_H
#define NEAP_VERSION_H

const char *neap_version(void);

#endif
