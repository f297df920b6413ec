#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "client/chanctl/table.h"

static void test_columns_are_aligned(void **state)
{
	static const struct table_column columns[] = {
		{"NAME", false}, {"CAP", true}, {"STATE", false}, {NULL, false}};
	char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);
	struct table t;

	(void)state;
	assert_non_null(stream);
	table_init(&t, columns);
	table_add(&t, "jobs");
	table_add(&t, "%d", 10);
	table_add(&t, "open");
	table_add(&t, "a.longer.name");
	table_add(&t, "%d", 12345);
	table_add(&t, "closed\n\033[1m");
	table_print(&t, stream);
	fclose(stream);
	assert_string_equal(text, "NAME             CAP  STATE\n"
				  "jobs              10  open\n"
				  "a.longer.name  12345  closed??[1m\n");
	free(text);
	table_fini(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_are_aligned),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
