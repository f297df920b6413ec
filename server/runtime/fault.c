/*
 * fault.c - signals that concern goroutines: an overflown stack, and the wish to see them all.
 *
 * Handlers run on a stack of their own, one a machine: the goroutine's may be the one that is full.
 */
#include "config.h"

#include "server/base/panic.h"
#include "server/runtime/sanitizer.h"
#include "server/runtime/sched.h"
#include "server/runtime/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIGNAL_STACK_BYTES = 64 << 10 };

static const int fault_signals[] = {SIGSEGV, SIGBUS};

static struct {
	struct sigaction old_fault[2];
	struct sigaction old_quit;
	bool quit_installed;
} fault;

/* Tells whose stack it was; like Go's, such an end has exit status 2. */
static noreturn void overflow(const struct goroutine *g)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "runtime: goroutine %llu exceeds its stack of %zu bytes\n",
		(unsigned long long)g->id, stack_usable_bytes());

	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(2);
	fatal("stack overflow");
}

static bool is_on_its_stack(const struct goroutine *g)
{
	uint8_t state = atomic_load_explicit(&g->state, memory_order_relaxed);

	return state == G_RUNNING || state == G_BLOCKING;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	/* By the address: a goroutine that the scheduler is leaving is none's curg any more. */
	const struct goroutine *g = stack_guarded_at(info->si_addr);

	(void)context;
	if (g && is_on_its_stack(g))
		overflow(g);
	/* Not ours: as if this handler had never been; the instruction faults again. */
	sigaction(signal, &fault.old_fault[signal == SIGBUS], NULL);
}

static void on_quit(int signal)
{
	(void)signal;
	go_dump_all(STDERR_FILENO);
}

static void dump_for_panic(void)
{
	go_dump_all(STDERR_FILENO);
}

int fault_init(bool dump_on_sigquit)
{
	struct sigaction on_fault_action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction on_quit_action = {.sa_flags = SANITIZER_SA_RESTART | SA_ONSTACK};

	on_fault_action.sa_sigaction = on_fault;
	on_quit_action.sa_handler = on_quit;
	for (int i = 0; i < 2; i++)
		sigaction(fault_signals[i], &on_fault_action, &fault.old_fault[i]);
	fault.quit_installed = dump_on_sigquit;
	if (dump_on_sigquit)
		sigaction(SIGQUIT, &on_quit_action, &fault.old_quit);
	panic_set_hook(dump_for_panic);
	return 0;
}

void fault_fini(void)
{
	panic_set_hook(NULL);
	if (fault.quit_installed)
		sigaction(SIGQUIT, &fault.old_quit, NULL);
	for (int i = 0; i < 2; i++)
		sigaction(fault_signals[i], &fault.old_fault[i], NULL);
}

int fault_thread_init(struct machine *m)
{
	stack_t stack = {.ss_size = SIGNAL_STACK_BYTES};

	stack.ss_sp = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return -ENOMEM;
	m->signal_stack = stack.ss_sp;
	sigaltstack(&stack, &m->old_signal_stack);
	return 0;
}

/* A sanitizer frees whatever stack it finds here at the thread's end: give it its own back. */
void fault_thread_fini(struct machine *m)
{
	if (!m->signal_stack)
		return;
	sigaltstack(&m->old_signal_stack, NULL);
	munmap(m->signal_stack, SIGNAL_STACK_BYTES);
	m->signal_stack = NULL;
}
