# server/base: lists, locks, fences, clock, random numbers, log, panic. Knows nothing of goroutines.
noinst_LIBRARIES += server/base/libbase.a
server_base_libbase_a_SOURCES = \
	server/base/clock.c server/base/clock.h \
	server/base/fence.c server/base/fence.h \
	server/base/list.h \
	server/base/lock.c server/base/lock.h \
	server/base/log.c server/base/log.h \
	server/base/log_limit.c server/base/log_limit.h \
	server/base/memory.c server/base/memory.h \
	server/base/panic.c server/base/panic.h \
	server/base/random.c server/base/random.h \
	server/base/relax.h
