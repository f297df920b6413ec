#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/chanctl/reader.h"

struct pipe {
	int read_fd, write_fd;
};

static int setup(void **state)
{
	static struct pipe p;
	int fds[2];

	if (pipe(fds) < 0)
		return -1;
	p = (struct pipe){fds[0], fds[1]};
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pipe *p = *state;

	close(p->read_fd);
	if (p->write_fd >= 0)
		close(p->write_fd);
	return 0;
}

static void put(struct pipe *p, const void *bytes, size_t length)
{
	assert_int_equal(write(p->write_fd, bytes, length), length);
}

static void end(struct pipe *p)
{
	close(p->write_fd);
	p->write_fd = -1;
}

static void assert_next(struct reader *r, const char *expected)
{
	const char *value;
	size_t length;

	assert_int_equal(reader_next(r, &value, &length), 1);
	assert_int_equal(length, strlen(expected));
	assert_memory_equal(value, expected, length);
}

static void assert_none(struct reader *r, bool drained)
{
	const char *value;
	size_t length;

	assert_int_equal(reader_next(r, &value, &length), 0);
	assert_int_equal(r->drained, drained);
}

static void test_values_as_they_arrive(void **state)
{
	struct pipe *p = *state;
	struct reader r;

	reader_init(&r, p->read_fd, FRAMING_LINES);
	assert_none(&r, false);
	put(p, "one\ntw", 6);
	assert_int_equal(reader_fill(&r), 0);
	assert_next(&r, "one");
	assert_none(&r, false);
	put(p, "o\n\nlast", 7);
	assert_int_equal(reader_fill(&r), 0);
	assert_next(&r, "two");
	assert_next(&r, "");
	assert_none(&r, false);
	end(p);
	assert_int_equal(reader_fill(&r), 0);
	assert_next(&r, "last");
	assert_none(&r, true);
	reader_fini(&r);
}

static void test_all_of_it_once(void **state)
{
	struct pipe *p = *state;
	struct reader r;

	reader_init(&r, p->read_fd, FRAMING_RAW);
	put(p, "a\nb\n", 4);
	assert_int_equal(reader_fill(&r), 0);
	assert_none(&r, false);
	end(p);
	assert_int_equal(reader_fill(&r), 0);
	assert_next(&r, "a\nb\n");
	assert_none(&r, true);
	reader_fini(&r);
}

static void test_empty_input_is_one_raw_value_and_no_line(void **state)
{
	struct pipe *p = *state;
	struct reader raw, lines;

	end(p);
	reader_init(&raw, p->read_fd, FRAMING_RAW);
	reader_init(&lines, p->read_fd, FRAMING_LINES);
	assert_int_equal(reader_fill(&raw), 0);
	assert_next(&raw, "");
	assert_none(&raw, true);
	assert_int_equal(reader_fill(&lines), 0);
	assert_none(&lines, true);
	reader_fini(&raw);
	reader_fini(&lines);
}

static void test_a_value_too_large(void **state)
{
	struct pipe *p = *state;
	struct reader r;
	const char *value;
	size_t length;

	reader_init(&r, p->read_fd, FRAMING_LINES);
	r.value_bytes_max = 4;
	put(p, "1234\n12345\n", 11);
	assert_int_equal(reader_fill(&r), 0);
	assert_next(&r, "1234");
	assert_int_equal(reader_next(&r, &value, &length), -EMSGSIZE);
	reader_fini(&r);
}

/* A line without an end does not grow the buffer for ever. */
static void test_the_buffer_is_bounded(void **state)
{
	struct pipe *p = *state;
	char block[4096];
	struct reader r;
	int rc = 0;

	memset(block, 'x', sizeof(block));
	reader_init(&r, p->read_fd, FRAMING_LINES);
	r.value_bytes_max = 100000;
	for (size_t i = 0; i < 64 && rc == 0; i++) {
		put(p, block, sizeof(block));
		rc = reader_fill(&r);
		if (rc == 0)
			assert_none(&r, false);
	}
	assert_int_equal(rc, -EMSGSIZE);
	assert_true(r.size < 1000000);
	reader_fini(&r);
}

static void test_a_broken_descriptor(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, -1, FRAMING_LINES);
	assert_int_equal(reader_fill(&r), -EBADF);
	reader_fini(&r);
}

#define READER_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		READER_TEST(test_values_as_they_arrive),
		READER_TEST(test_all_of_it_once),
		READER_TEST(test_empty_input_is_one_raw_value_and_no_line),
		READER_TEST(test_a_value_too_large),
		READER_TEST(test_the_buffer_is_bounded),
		READER_TEST(test_a_broken_descriptor),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
