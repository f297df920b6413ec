#include "config.h"

#include "client/chanctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/printable.h"

void table_init(struct table *t, const struct table_column *columns)
{
	*t = (struct table){.columns = columns};
	for (; columns[t->column_count].title != NULL; t->column_count++)
		t->width[t->column_count] = strlen(columns[t->column_count].title);
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->cell_count; i++)
		free(t->cells[i]);
	free(t->cells);
}

static int make_room(struct table *t)
{
	size_t size = t->cells_size > 0 ? 2 * t->cells_size : 64;
	char **cells;

	if (t->cell_count < t->cells_size)
		return 0;
	cells = reallocarray(t->cells, size, sizeof(*cells));
	if (cells == NULL)
		return -ENOMEM;
	t->cells = cells;
	t->cells_size = size;
	return 0;
}

int table_add(struct table *t, const char *format, ...)
{
	size_t column = t->cell_count % t->column_count, length;
	va_list arguments;
	char *cell;
	int rc;

	va_start(arguments, format);
	rc = make_room(t) < 0 || vasprintf(&cell, format, arguments) < 0 ? -ENOMEM : 0;
	va_end(arguments);
	if (rc < 0)
		return rc;
	printable(cell);
	t->cells[t->cell_count++] = cell;
	length = strlen(cell);
	if (t->width[column] < length)
		t->width[column] = length;
	return 0;
}

static void print_cell(const struct table *t, FILE *stream, size_t column, const char *text)
{
	bool last = column + 1 == t->column_count;
	int width = (int)t->width[column];

	if (t->columns[column].right)
		fprintf(stream, "%*s", width, text);
	else
		fprintf(stream, "%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", stream);
}

void table_print(const struct table *t, FILE *stream)
{
	for (size_t i = 0; i < t->column_count; i++)
		print_cell(t, stream, i, t->columns[i].title);
	for (size_t i = 0; i < t->cell_count; i++)
		print_cell(t, stream, i % t->column_count, t->cells[i]);
}
