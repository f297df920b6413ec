/*
 * fuzz_config.c - configuration files: whatever stands in one, it is taken within its bounds or
 * refused with a sentence that names the file.
 *
 * Input: the file.
 */
#include "server/broker/access.h"
#include "server/config.h"
#include "tests/fuzz/fuzz.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_taken(const struct config *c)
{
	struct broker_options o = config_broker_options(c);

	fuzz_require(c->listen_count >= 1 && c->listen_count <= CONFIG_LISTEN_MAX);
	fuzz_require(o.connections_max >= 1 && o.limits.channels_max >= 1);
	fuzz_require(o.limits.value_bytes_max <= o.limits.buffered_bytes_max);
	fuzz_require(o.limits.value_bytes_max <= o.limits.bytes_in_flight_max);
}

/* Writes the file where no disk is touched, and its path. */
static int make_file(const uint8_t *bytes, size_t n, char path[static 32])
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	fuzz_require(fd >= 0);
	fuzz_require(write(fd, bytes, n) == (ssize_t)n);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char path[32], why[CONFIG_WHY_BYTES_MAX] = "", names[1024];
	struct config_arguments arguments = {.file = path};
	struct config_arguments none = {0};
	struct config c, by_default;
	int fd = make_file(bytes, n, path);
	int rc = config_load(&arguments, &c, why);

	close(fd);
	if (rc == 0) {
		check_taken(&c);
		fuzz_require(config_load(&none, &by_default, why) == 0);
		config_needs_restart(&by_default, &c, names, sizeof(names));
		access_unref(c.access);
		return 0;
	}
	fuzz_require(rc == -EINVAL && *why && memchr(why, '\0', sizeof(why)));
	return 0;
}
