# libchan. Its parts stand in a library of their own for the unit tests; only chan_* leaves it.
chan_sources = \
	client/answer.c \
	client/async.c \
	client/backlog.c \
	client/channel.c client/channel.h \
	client/client.c client/client.h \
	client/clock.h \
	client/confirm.c \
	client/credentials.c client/credentials.h \
	client/delivery.c client/delivery.h \
	client/dial.c \
	client/emit.c client/emit.h \
	client/error.c client/error.h \
	client/flight.c client/flight.h \
	client/keeper.c client/keeper.h \
	client/lease.c client/lease.h \
	client/look.c \
	client/make.c \
	client/op.c client/op.h \
	client/output.c \
	client/reconnect.c client/reconnect.h \
	client/recv.c \
	client/resend.c client/resend.h \
	client/ride.c \
	client/run.c \
	client/select.c \
	client/send.c \
	client/session.c client/session.h \
	client/settle.c \
	client/rings.c client/rings.h \
	client/stream.c client/stream.h \
	client/stream_ring.c \
	client/stream_socket.c \
	client/stream_tls.c \
	client/tls.h \
	client/transfer.c \
	client/url.c client/url.h \
	client/value.c \
	client/wait.c

noinst_LTLIBRARIES += client/libclient.la
client_libclient_la_SOURCES = $(chan_sources)
client_libclient_la_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
client_libclient_la_LIBADD = proto/libproto.la $(OPENSSL_LIBS)

lib_LTLIBRARIES += client/libchan.la
client_libchan_la_SOURCES =
client_libchan_la_LIBADD = client/libclient.la -lpthread
# It stays loaded: a thread of the keeper's (keeper.c) that has just given back the last client may not
# have returned yet.
client_libchan_la_LDFLAGS = $(SANITIZE) $(LTO_LDFLAGS) -Wl,-z,nodelete -no-undefined \
	-export-symbols-regex '^chan_' \
	-version-info $(LIBCHAN_VERSION_INFO)

pkgconfig_DATA = client/libchan.pc

# libtool makes the links and leaves the dynamic linker's cache as it was: what has just been installed
# would not find the library. Who is not root, or packs, does without.
install-exec-hook:
	@test -n "$(DESTDIR)" || PATH="$$PATH:/usr/sbin:/sbin" ldconfig 2>/dev/null || :
