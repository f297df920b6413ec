# The daemon.
bin_PROGRAMS += chand
chand_SOURCES = server/main.c server/config.c server/config.h
chand_CPPFLAGS = $(AM_CPPFLAGS) $(CONFUSE_CFLAGS)
chand_LDADD = \
	server/broker/libbroker.a server/broker/libengine.a server/net/libnet.a \
	server/channel/libchannel.a server/runtime/libruntime.a server/base/libbase.a \
	proto/libproto.la $(LIBEVENT_LIBS) $(OPENSSL_LIBS) $(CONFUSE_LIBS) -lpthread
