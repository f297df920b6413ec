# Programs that measure: make bench.
