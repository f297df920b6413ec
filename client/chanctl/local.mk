# client/chanctl: the command-line tool, on libchan's public face alone. All but its main is a
# library, which the unit tests link.
noinst_LIBRARIES += client/chanctl/libchanctl.a
client_chanctl_libchanctl_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
client_chanctl_libchanctl_a_SOURCES = \
	client/chanctl/bytes.c client/chanctl/bytes.h \
	client/chanctl/chanctl.h \
	client/chanctl/child.c client/chanctl/child.h \
	client/chanctl/clock.h \
	client/chanctl/cmd_bench.c \
	client/chanctl/cmd_channel.c \
	client/chanctl/cmd_list.c \
	client/chanctl/cmd_lock.c \
	client/chanctl/cmd_ping.c \
	client/chanctl/cmd_ps.c \
	client/chanctl/cmd_recv.c \
	client/chanctl/cmd_select.c \
	client/chanctl/cmd_send.c \
	client/chanctl/cmd_token.c \
	client/chanctl/cmd_top.c \
	client/chanctl/cmd_worker.c \
	client/chanctl/complain.c client/chanctl/complain.h \
	client/chanctl/ctl.c \
	client/chanctl/duration.c client/chanctl/duration.h \
	client/chanctl/events.c client/chanctl/events.h \
	client/chanctl/exit_codes.c client/chanctl/exit_codes.h \
	client/chanctl/facts.c client/chanctl/facts.h \
	client/chanctl/framing.c client/chanctl/framing.h \
	client/chanctl/guard.c client/chanctl/guard.h \
	client/chanctl/interrupt.c client/chanctl/interrupt.h \
	client/chanctl/job.c client/chanctl/job.h \
	client/chanctl/json_list.c client/chanctl/json_list.h \
	client/chanctl/options.c client/chanctl/options.h \
	client/chanctl/output.c client/chanctl/output.h \
	client/chanctl/printable.c client/chanctl/printable.h \
	client/chanctl/progress.c client/chanctl/progress.h \
	client/chanctl/reader.c client/chanctl/reader.h \
	client/chanctl/signals.c client/chanctl/signals.h \
	client/chanctl/source.c client/chanctl/source.h \
	client/chanctl/stat_json.c client/chanctl/stat_json.h \
	client/chanctl/substitute.c client/chanctl/substitute.h \
	client/chanctl/table.c client/chanctl/table.h \
	client/chanctl/terminal.c client/chanctl/terminal.h \
	client/chanctl/text.c client/chanctl/text.h \
	client/chanctl/worker.h \
	client/chanctl/worker_value.c

bin_PROGRAMS += chanctl
chanctl_SOURCES = client/chanctl/chanctl.c
chanctl_LDADD = $(chanctl_libs)
chanctl_libs = client/chanctl/libchanctl.a client/libchan.la $(JANSSON_LIBS) $(OPENSSL_LIBS) $(UNISTRING_LIBS) \
	-lpthread
