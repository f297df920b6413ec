# Small complete programs on libchan; run by tests/integration/examples.sh.
examples = \
	client/examples/fibonacci \
	client/examples/request_reply \
	client/examples/select_deadline \
	client/examples/worker_pool
noinst_PROGRAMS += $(examples)

client_examples_fibonacci_LDADD = client/libchan.la -lpthread
client_examples_request_reply_LDADD = client/libchan.la
client_examples_select_deadline_LDADD = client/libchan.la -lpthread
client_examples_worker_pool_LDADD = client/libchan.la
