#!/bin/sh
# Programs of this folder that speak by libchan, once more with every client over rings from its first
# frame on (chan.h, CHAN_RING_AFTER): nothing that they assert may be otherwise.
. "$top_srcdir/tests/support/tap.sh"

CHAN_RING_AFTER=1
export CHAN_RING_AFTER

for name in libchan lease; do
	exits 0 "test_$name holds over rings" "$top_builddir/tests/integration/test_$name"
done

tap_end
