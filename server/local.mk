# The daemon. Tests link its configuration, too.
config_sources = \
	server/config.c server/config.h \
	server/config_access.c server/config_access.h \
	server/privileges.c server/privileges.h

bin_PROGRAMS += chand
chand_SOURCES = server/main.c $(config_sources)
chand_CPPFLAGS = $(AM_CPPFLAGS) $(CONFUSE_CFLAGS)
chand_LDFLAGS = $(SANITIZE) $(LTO_LDFLAGS)
chand_LDADD = \
	server/broker/libbroker.a server/broker/libengine.a server/net/libnet.a \
	server/channel/libchannel.a server/runtime/libruntime.a server/base/libbase.a \
	proto/libproto.la $(LIBEVENT_LIBS) $(OPENSSL_LIBS) $(CONFUSE_LIBS) -lpthread
