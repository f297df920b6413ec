# server/broker: the rules of named channels (libengine.a: pure, knows no goroutine), and around them
# sessions, connections and the broker's goroutine (libbroker.a).
noinst_LIBRARIES += server/broker/libbroker.a
server_broker_libbroker_a_SOURCES = \
	server/broker/batch.c server/broker/batch.h \
	server/broker/broker.c server/broker/broker.h \
	server/broker/connection.c server/broker/connection.h \
	server/broker/outbox.c server/broker/outbox.h \
	server/broker/session.c server/broker/session.h \
	server/broker/writer.c server/broker/writer.h
