/*
 * json_list.h - a list of objects as JSON, of ls and ps.
 */
#ifndef CHANCTL_JSON_LIST_H
#define CHANCTL_JSON_LIST_H

#include <jansson.h>

/* Prints it on stdout with an element a line, compact as all that is printed as JSON, so that it is
 * as good for grep as for jq. stdout's own mark tells of failures. */
void json_list_print(const json_t *list);

#endif
