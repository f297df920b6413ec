#include "server/base/log_limit.h"

#include <inttypes.h>

bool log_limit_take(struct log_limit *l, int64_t now_ns, uint64_t *ret_left_out)
{
	bool write;

	lock_acquire(&l->lock);
	if (now_ns >= l->until_ns) {
		l->until_ns = now_ns + LOG_LIMIT_NS;
		l->said = 0;
	}
	write = l->said < LOG_LIMIT_LINES;
	*ret_left_out = 0;
	if (write) {
		l->said++;
		*ret_left_out = l->left_out;
		l->left_out = 0;
	} else {
		l->left_out++;
	}
	lock_release(&l->lock);
	return write;
}

void log_left_out(enum log_level level, const char *subsystem, uint64_t count)
{
	log_line(level, subsystem, "%" PRIu64 " more like the next were not logged", count);
}
