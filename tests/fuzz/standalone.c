/*
 * standalone.c - runs a fuzzer on files: the main of every fuzzer that is not built for libFuzzer.
 *
 *	fuzz_frame FILE|FOLDER...    runs these inputs, the files of folders by name, and prints TAP
 *	fuzz_frame                   the same with $top_srcdir/tests/fuzz/corpus/frame
 *
 * Compiled by AFL++ (afl-clang-fast) and without arguments it takes inputs from afl-fuzz.
 */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the whole run; the corpus takes a few seconds under Valgrind. */
#define PATIENCE_S 300

/* Larger inputs are of no fuzzer of ours. */
#define INPUT_BYTES_MAX (1u << 20)

static unsigned inputs;

/* A copy of exactly its size, so that a sanitizer sees who reads beyond it. */
static void run_bytes(const uint8_t *bytes, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	fuzz_require(exact);
	memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static void give_up(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(EXIT_FAILURE);
}

static void run_file(const char *path)
{
	static uint8_t bytes[INPUT_BYTES_MAX];
	FILE *in = fopen(path, "re");
	size_t n;

	if (!in)
		give_up(path);
	n = fread(bytes, 1, sizeof(bytes), in);
	fclose(in);
	printf("# %s\n", path);
	fflush(stdout);
	run_bytes(bytes, n);
	inputs++;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	char inner[4096];
	int n = scandir(path, &entries, is_input, alphasort);

	if (n < 0)
		give_up(path);
	for (int i = 0; i < n; i++) {
		snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
		run_file(inner);
		free(entries[i]);
	}
	free(entries);
}

static void run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		give_up(path);
	if (S_ISDIR(st.st_mode))
		run_folder(path);
	else
		run_file(path);
}

/* Where the tree has the seeds of fuzz_NAME. */
static void run_corpus(const char *program)
{
	const char *top = getenv("top_srcdir"), *name = strrchr(program, '/');
	char path[4096];

	name = name ? name + 1 : program;
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", top ? top : ".",
		name + strlen("fuzz_"));
	run_path(path);
}

#ifdef __AFL_FUZZ_TESTCASE_LEN
__AFL_FUZZ_INIT();

static void run_afl(void)
{
	const uint8_t *bytes;

	__AFL_INIT();
	bytes = __AFL_FUZZ_TESTCASE_BUF;
	while (__AFL_LOOP(10000))
		run_bytes(bytes, (size_t)__AFL_FUZZ_TESTCASE_LEN);
	exit(EXIT_SUCCESS);
}
#else
static void run_afl(void)
{
}
#endif

int main(int argc, char **argv)
{
	if (argc == 1)
		run_afl();
	alarm(PATIENCE_S);
	printf("1..1\n");
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	if (argc == 1)
		run_corpus(argv[0]);
	fuzz_require(inputs > 0);
	printf("ok 1 - %u inputs\n", inputs);
	return EXIT_SUCCESS;
}
