# server/runtime: goroutines on threads, and the netpoller. libevent is known to one file.
noinst_LIBRARIES += server/runtime/libruntime.a
server_runtime_libruntime_a_SOURCES = \
	server/runtime/blocking.c \
	server/runtime/blocks.c \
	server/runtime/context.h \
	server/runtime/dump.c \
	server/runtime/errno.h \
	server/runtime/fault.c \
	server/runtime/go.h \
	server/runtime/golock.h \
	server/runtime/goroutine.c server/runtime/goroutine.h \
	server/runtime/guard.c server/runtime/guard.h \
	server/runtime/haul.h \
	server/runtime/machine.c \
	server/runtime/netpoll.c server/runtime/netpoll.h server/runtime/netpoll_sched.h \
	server/runtime/netpoll_libevent.c \
	server/runtime/newq.c server/runtime/newq.h \
	server/runtime/note.c server/runtime/note.h \
	server/runtime/nursery.c server/runtime/nursery.h \
	server/runtime/rival.c server/runtime/rival.h \
	server/runtime/run.c server/runtime/runtime.h \
	server/runtime/runq.c server/runtime/runq.h \
	server/runtime/sanitizer.h \
	server/runtime/sched.c server/runtime/sched.h \
	server/runtime/stack.c server/runtime/stack.h \
	server/runtime/stackpool.c server/runtime/stackpool.h \
	server/runtime/sysmon.c \
	server/runtime/timer.c server/runtime/timer.h server/runtime/timer_sched.h \
	server/runtime/wait_reason.c server/runtime/wait_reason.h
if CONTEXT_X86_64
server_runtime_libruntime_a_SOURCES += server/runtime/context_x86_64.S
endif
if CONTEXT_AARCH64
server_runtime_libruntime_a_SOURCES += server/runtime/context_aarch64.S
endif
server_runtime_libruntime_a_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS)
EXTRA_DIST += server/runtime/context_x86_64.S server/runtime/context_aarch64.S \
	server/runtime/chand-gdb.py
