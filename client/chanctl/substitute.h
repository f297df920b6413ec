/*
 * substitute.h - a command's arguments, with a value where {} stands.
 */
#ifndef CHANCTL_SUBSTITUTE_H
#define CHANCTL_SUBSTITUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/chanctl/options.h"

/* Whether {} occurs in any of the n words. */
bool substitute_wanted(const struct operand *words, size_t n);

/*
 * The words with the value for every {} in them, as execvp wants them: *ret_arguments is the
 * caller's, to be freed by substitute_free. The value may hold {}, which is not replaced again.
 * 0; -EINVAL: the value holds a zero byte, which no argument can; -ENOMEM.
 */
int substitute(const struct operand *words, size_t n, const char *value, size_t value_bytes,
	char ***ret_arguments);

void substitute_free(char **arguments);

#endif
