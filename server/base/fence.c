#include "server/base/fence.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool call(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}

void fence_prepare(void)
{
	call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool fence_all_threads(void)
{
	if (call(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return true;
	if (errno != EPERM) /* not prepared */
		return false;
	fence_prepare();
	return call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
