#include "client/chanctl/substitute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/bytes.h"

static const char hole[] = "{}";

#define HOLE_BYTES (sizeof(hole) - 1)

bool substitute_wanted(const struct operand *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(words[i].text, hole) != NULL)
			return true;
	return false;
}

/* One word; NULL: no memory. */
static char *fill(const char *word, const char *value, size_t value_bytes)
{
	struct bytes out = {0};
	const char *at;
	int rc = 0;

	while (rc == 0 && (at = strstr(word, hole)) != NULL) {
		rc = bytes_append(&out, word, (size_t)(at - word));
		rc = rc == 0 ? bytes_append(&out, value, value_bytes) : rc;
		word = at + HOLE_BYTES;
	}
	rc = rc == 0 ? bytes_append(&out, word, strlen(word) + 1) : rc;
	if (rc == 0)
		return out.at;
	bytes_fini(&out);
	return NULL;
}

int substitute(const struct operand *words, size_t n, const char *value, size_t value_bytes,
	char ***ret_arguments)
{
	char **arguments;

	if (substitute_wanted(words, n) && value_bytes > 0 &&
		memchr(value, '\0', value_bytes) != NULL)
		return -EINVAL;
	arguments = calloc(n + 1, sizeof(*arguments));
	if (arguments == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		arguments[i] = fill(words[i].text, value, value_bytes);
		if (arguments[i] == NULL) {
			substitute_free(arguments);
			return -ENOMEM;
		}
	}
	*ret_arguments = arguments;
	return 0;
}

void substitute_free(char **arguments)
{
	for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++)
		free(arguments[i]);
	free(arguments);
}
