/* go(f, ...): arguments of every kind arrive as they were at the call. */
#include "tests/support/run.h"

#include <string.h>

struct point {
	int x, y;
	double weight;
};

static _Atomic int calls;
static struct countdown all;

static void done(void)
{
	atomic_fetch_add(&calls, 1);
	countdown_done(&all);
}

static void no_arguments(void)
{
	done();
}

static int with_result(int i)
{
	expect(i == -7);
	done();
	return 99;
}

static void integers(char c, short s, int i, long l, unsigned long long ull, bool b)
{
	expect(c == 'x' && s == -300 && i == 70000 && l == -5000000000L);
	expect(ull == 18446744073709551615ULL && b);
	done();
}

static void floats(float f, double d, long double ld)
{
	expect(f == 1.5f && d == 3.25 && ld == 0.125L);
	done();
}

static void text(const char *s, char *array)
{
	expect(strcmp(s, "a literal") == 0);
	expect(array[0] == 'A');
	done();
}

static void by_value(struct point p, struct point *pp)
{
	expect(p.x == 1 && p.y == 2 && p.weight == 0.5);
	expect(pp->x == 100);
	done();
}

static double twice(double d)
{
	return 2 * d;
}

static void functions(double (*f)(double), double arg, void *null)
{
	expect(f(arg) == 2 * arg && !null);
	done();
}

static void eight(int a, int b, int c, int d, int e, int f, int g, int h)
{
	expect(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8);
	done();
}

static void mixed(int a, double b, const char *c, struct point d, long e)
{
	expect(a == 1 && b == 2.0 && c[0] == 'c' && d.y == 2 && e == 5);
	done();
}

static int every_kind(void *arg)
{
	static char array[] = "Array";
	static struct point other = {100, 0, 0};
	struct point p = {1, 2, 0.5};
	void (*pointer)(void) = no_arguments;
	const int constant = -7;
	float f = 1.5f;

	(void)arg;
	all = (struct countdown)COUNTDOWN(11);
	expect(go(no_arguments) == 0);
	expect(go(pointer) == 0);
	expect(go(with_result, constant) == 0);
	expect(go(integers, 'x', -300, 70000, -5000000000L, 18446744073709551615ULL, true) == 0);
	expect(go(floats, f, 3.25, 0.125L) == 0);
	expect(go(floats, 1.5, 3.25f, 0.125) == 0); /* converted by the call */
	expect(go(text, "a literal", array) == 0);
	expect(go(by_value, p, &other) == 0);
	p.x = 50; /* after the call: the copy does not see it */
	expect(go(functions, twice, 21.0, NULL) == 0);
	expect(go(eight, 1, 2, 3, 4, 5, 6, 7, 8) == 0);
	expect(go(mixed, 1, 2, "c", ((struct point){1, 2, 3}), 5) == 0);
	countdown_wait(&all);
	expect(atomic_load(&calls) == 11);
	return 0;
}

static void arguments_of_every_kind(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs *= 4) {
		atomic_store(&calls, 0);
		run(procs, every_kind, NULL);
	}
}

static int evaluations;

static int next_number(void)
{
	return ++evaluations;
}

static void check_number(int n, int want)
{
	expect(n == want);
	done();
}

static void (*chosen(void))(int, int)
{
	evaluations += 100;
	return check_number;
}

static int evaluate(void *arg)
{
	(void)arg;
	all = (struct countdown)COUNTDOWN(11);
	for (int i = 0; i < 10; i++)
		expect(go(check_number, next_number(), i + 1) == 0);
	expect(evaluations == 10); /* here and now, not when they run */
	expect(go(chosen(), 5, 5) == 0);
	expect(evaluations == 110);
	countdown_wait(&all);
	return 0;
}

static void evaluated_once_at_the_call(void **state)
{
	(void)state;
	evaluations = 0;
	run(1, evaluate, NULL);
}

static void write_number(int *place, int n)
{
	*place = n;
	countdown_done(&all);
}

/* A macro that is used many times in one function, in loops and in expressions. */
static int many_places(void *arg)
{
	static int places[300];

	(void)arg;
	all = (struct countdown)COUNTDOWN(300);
	for (int i = 0; i < 100; i++) {
		if (go(write_number, &places[3 * i], 1) == 0 &&
			go(write_number, &places[3 * i + 1], 2) == 0)
			expect(go(write_number, &places[3 * i + 2], 3) == 0);
	}
	countdown_wait(&all);
	for (int i = 0; i < 300; i++)
		expect(places[i] == i % 3 + 1);
	return 0;
}

static void many_in_one_function(void **state)
{
	(void)state;
	run(4, many_places, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_of_every_kind),
		cmocka_unit_test(evaluated_once_at_the_call),
		cmocka_unit_test(many_in_one_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
