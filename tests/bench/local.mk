# Programs that measure, built by `make bench-programs` and run by `make bench`; what came out is
# written down in RESULTS.md.

EXTRA_DIST += tests/bench/run.sh tests/bench/RESULTS.md

bench_programs = tests/bench/inproc tests/bench/peer
tests_bench_inproc_SOURCES = tests/bench/inproc.c tests/support/waitgroup.h
tests_bench_inproc_LDADD = $(tour_libs)
tests_bench_peer_LDADD = client/libchan.la

EXTRA_PROGRAMS += $(bench_programs)
.PHONY: bench bench-programs
bench-programs: $(bench_programs)
bench: all bench-programs
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/tests/bench/run.sh
