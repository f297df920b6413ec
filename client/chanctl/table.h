/*
 * table.h - aligned columns for people.
 */
#ifndef CHANCTL_TABLE_H
#define CHANCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

struct table_column {
	const char *title;
	bool right; /* numbers stand at the right */
};

struct table {
	const struct table_column *columns; /* ends with a NULL title */
	size_t column_count;
	size_t width[TABLE_COLUMNS_MAX];
	char **cells; /* row by row; ours */
	size_t cell_count, cells_size;
};

void table_init(struct table *t, const struct table_column *columns);
void table_fini(struct table *t);

/* Adds the next cell, row by row. 0 or -ENOMEM. */
int table_add(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the titles and all rows, each column as wide as its longest cell. */
void table_print(const struct table *t, FILE *stream);

#endif
