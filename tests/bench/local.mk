# Programs that measure, built by `make bench-programs` and run by `make bench`, or by `make bench-peers`
# beside what else there is; what came out is written down in RESULTS.md.

EXTRA_DIST += tests/bench/run.sh tests/bench/peers.py tests/bench/targets.txt tests/bench/RESULTS.md

bench_clients = tests/bench/clients.c tests/bench/clients.h
bench_programs = tests/bench/inproc tests/bench/peer tests/bench/load tests/bench/scale
tests_bench_inproc_SOURCES = tests/bench/inproc.c tests/support/waitgroup.h
tests_bench_inproc_LDADD = $(tour_libs)
tests_bench_peer_SOURCES = tests/bench/peer.c $(bench_clients)
tests_bench_peer_LDADD = client/libchan.la
tests_bench_peer_LDFLAGS = $(AM_LDFLAGS) -no-install # the program itself, not a script that starts it
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/crew.c tests/bench/crew.h \
	tests/support/dice.h $(bench_clients)
tests_bench_load_LDADD = client/libchan.la
tests_bench_load_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_bench_scale_SOURCES = tests/bench/scale.c $(bench_clients)
tests_bench_scale_LDADD = client/libchan.la
tests_bench_scale_LDFLAGS = $(AM_LDFLAGS) -no-install

EXTRA_PROGRAMS += $(bench_programs)
.PHONY: bench bench-peers bench-programs
bench-programs: all # not beside it: with -j both would build the same libraries
	@$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)
bench: bench-programs
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(top_srcdir)/tests/bench/run.sh

# BENCH_HARNESS=FOLDER, and what peers.py takes: BENCH_ARGS='-n 1 -p w1tcp,pinned'.
bench-peers: bench-programs
	@test '$(PYTHON)' != : || { echo 'bench-peers needs python3' >&2; exit 1; }
	@$(AM_TESTS_ENVIRONMENT) $(PYTHON) $(top_srcdir)/tests/bench/peers.py $(BENCH_ARGS) $(BENCH_HARNESS)
