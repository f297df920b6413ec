# server/net: listening sockets and byte streams. Knows nothing of channels and messages.
noinst_LIBRARIES += server/net/libnet.a
server_net_libnet_a_SOURCES = \
	server/net/address.c server/net/address.h \
	server/net/handshakes.c server/net/handshakes.h \
	server/net/listener.c server/net/listener.h \
	server/net/stream.c server/net/stream.h \
	server/net/stream_peer.c server/net/stream_peer.h \
	server/net/stream_ring.c server/net/stream_ring.h \
	server/net/stream_socket.c \
	server/net/stream_tls.c server/net/stream_tls.h \
	server/net/tls.c server/net/tls.h
server_net_libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
