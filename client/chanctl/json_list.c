#include "client/chanctl/json_list.h"

#include <stdio.h>

void json_list_print(const json_t *list)
{
	size_t n = json_array_size(list);

	putchar('[');
	for (size_t i = 0; i < n; i++) {
		json_dumpf(json_array_get(list, i), stdout, JSON_COMPACT);
		if (i + 1 < n)
			fputs(",\n", stdout);
	}
	fputs("]\n", stdout);
}
