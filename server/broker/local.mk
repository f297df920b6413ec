# server/broker: the rules of named channels (libengine.a: pure, knows no goroutine), and around them
# sessions, connections and who applies their operations (libbroker.a).
noinst_LIBRARIES += server/broker/libengine.a
server_broker_libengine_a_SOURCES = \
	server/broker/access.c server/broker/access.h \
	server/broker/answer.c server/broker/answer.h \
	server/broker/attributes.c server/broker/attributes.h \
	server/broker/broken.c server/broker/broken.h \
	server/broker/buffer.c server/broker/buffer.h \
	server/broker/channel.c server/broker/channel.h \
	server/broker/check.c \
	server/broker/collect.c server/broker/collect.h \
	server/broker/dead_letter.c server/broker/dead_letter.h \
	server/broker/delivery.c server/broker/delivery.h \
	server/broker/engine.c server/broker/engine.h \
	server/broker/glob.c server/broker/glob.h \
	server/broker/handoff.c server/broker/handoff.h \
	server/broker/heap.c server/broker/heap.h \
	server/broker/identity.c server/broker/identity.h \
	server/broker/lease.c server/broker/lease.h \
	server/broker/names.c server/broker/names.h \
	server/broker/op_cancel.c \
	server/broker/op_channel.c \
	server/broker/op_inspect.c \
	server/broker/op_recv.c \
	server/broker/op_select.c \
	server/broker/op_send.c \
	server/broker/op_settle.c \
	server/broker/op_value.c \
	server/broker/operation.c server/broker/operation.h \
	server/broker/party.c server/broker/party.h \
	server/broker/permit.c server/broker/permit.h \
	server/broker/producers.c server/broker/producers.h \
	server/broker/quota.c server/broker/quota.h \
	server/broker/semaphore.c server/broker/semaphore.h \
	server/broker/seqmap.c server/broker/seqmap.h \
	server/broker/state.h \
	server/broker/token.c server/broker/token.h \
	server/broker/traffic.c server/broker/traffic.h \
	server/broker/value.c server/broker/value.h

noinst_LIBRARIES += server/broker/libbroker.a
server_broker_libbroker_a_SOURCES = \
	server/broker/admission.c server/broker/admission.h \
	server/broker/batch.c server/broker/batch.h \
	server/broker/broker.c server/broker/broker.h server/broker/broker_state.h \
	server/broker/buffers.c server/broker/buffers.h \
	server/broker/connection.c server/broker/connection.h \
	server/broker/gate.c server/broker/gate.h \
	server/broker/helm.c server/broker/helm.h \
	server/broker/outbox.c server/broker/outbox.h \
	server/broker/outgoing.c server/broker/outgoing.h \
	server/broker/reading.c \
	server/broker/replay.c server/broker/replay.h \
	server/broker/resume.c \
	server/broker/rings.c \
	server/broker/ride.c server/broker/ride.h \
	server/broker/session.c server/broker/session.h \
	server/broker/settle.c server/broker/settle.h \
	server/broker/stock.c server/broker/stock.h \
	server/broker/watch.c \
	server/broker/writer.c server/broker/writer.h \
	server/broker/writing.c
