# Small goroutine programs, and the driver that asserts what they print and how they end.

tour_programs = \
	tests/programs/buffered \
	tests/programs/close_closed \
	tests/programs/close_nil \
	tests/programs/daisy \
	tests/programs/fibonacci \
	tests/programs/fibonacci_select \
	tests/programs/nil_channel \
	tests/programs/range_no_close \
	tests/programs/say \
	tests/programs/select_growth \
	tests/programs/send_closed \
	tests/programs/send_closed_waiting \
	tests/programs/sieve \
	tests/programs/sum \
	tests/programs/v_ok

tour_libs = server/channel/libchannel.a server/runtime/libruntime.a server/base/libbase.a \
	$(LIBEVENT_LIBS) -lpthread

tests_programs_buffered_SOURCES = tests/programs/buffered.c tests/programs/tour.h
tests_programs_buffered_LDADD = $(tour_libs)
tests_programs_close_closed_SOURCES = tests/programs/close_closed.c tests/programs/tour.h
tests_programs_close_closed_LDADD = $(tour_libs)
tests_programs_close_nil_SOURCES = tests/programs/close_nil.c tests/programs/tour.h
tests_programs_close_nil_LDADD = $(tour_libs)
tests_programs_daisy_SOURCES = tests/programs/daisy.c tests/programs/tour.h
tests_programs_daisy_LDADD = $(tour_libs)
tests_programs_fibonacci_SOURCES = tests/programs/fibonacci.c tests/programs/tour.h
tests_programs_fibonacci_LDADD = $(tour_libs)
tests_programs_fibonacci_select_SOURCES = tests/programs/fibonacci_select.c tests/programs/tour.h
tests_programs_fibonacci_select_LDADD = $(tour_libs)
tests_programs_nil_channel_SOURCES = tests/programs/nil_channel.c tests/programs/tour.h
tests_programs_nil_channel_LDADD = $(tour_libs)
tests_programs_range_no_close_SOURCES = tests/programs/range_no_close.c tests/programs/tour.h
tests_programs_range_no_close_LDADD = $(tour_libs)
tests_programs_say_SOURCES = tests/programs/say.c tests/programs/tour.h
tests_programs_say_LDADD = $(tour_libs)
tests_programs_select_growth_SOURCES = tests/programs/select_growth.c tests/programs/tour.h
tests_programs_select_growth_LDADD = $(tour_libs)
tests_programs_send_closed_SOURCES = tests/programs/send_closed.c tests/programs/tour.h
tests_programs_send_closed_LDADD = $(tour_libs)
tests_programs_send_closed_waiting_SOURCES = tests/programs/send_closed_waiting.c tests/programs/tour.h
tests_programs_send_closed_waiting_LDADD = $(tour_libs)
tests_programs_sieve_SOURCES = tests/programs/sieve.c tests/programs/tour.h
tests_programs_sieve_LDADD = $(tour_libs)
tests_programs_sum_SOURCES = tests/programs/sum.c tests/programs/tour.h
tests_programs_sum_LDADD = $(tour_libs)
tests_programs_v_ok_SOURCES = tests/programs/v_ok.c tests/programs/tour.h
tests_programs_v_ok_LDADD = $(tour_libs)

check_PROGRAMS += $(tour_programs)
TESTS += tests/programs/tour.sh
EXTRA_DIST += tests/programs/tour.sh
