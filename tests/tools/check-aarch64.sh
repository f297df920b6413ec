#!/bin/sh
# Runs the runtime's unit tests for aarch64: cross-compiled with Debian's compiler, under qemu-user.
#
#   check-aarch64.sh SOURCE-TREE WORK-FOLDER
#
# Needs aarch64-linux-gnu-gcc and qemu-aarch64. The libraries for arm64 are fetched as Debian packages
# and unpacked below the work folder; nothing is installed. qemu-user ignores
# MADV_GUARD_INSTALL, so that this also tests the guards of older kernels.
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2/sysroot" "$2/packages" "$2/objects"
work=$(cd "$2" && pwd)
cc=${AARCH64_CC:-aarch64-linux-gnu-gcc}
jobs=$(nproc)

packages='libc6 libgcc-s1 libevent-2.1-7 libevent-core-2.1-7 libevent-pthreads-2.1-7 libevent-dev
	libcmocka0 libcmocka-dev'

fetch() {
	[ -e "$work/sysroot/.complete" ] && return
	dpkg --print-foreign-architectures | grep -qx arm64 || {
		dpkg --add-architecture arm64
		apt-get update -qq
	}
	(cd "$work/packages" &&
		apt-get download -qq $(for p in $packages; do echo "$p:arm64"; done))
	for deb in "$work"/packages/*.deb; do
		dpkg-deb -x "$deb" "$work/sysroot"
	done
	touch "$work/sysroot/.complete"
}

# The compiler has libc's own files for linking; the sysroot is for what it lacks, and for running.
flags="-D_GNU_SOURCE -std=gnu11 -g -O1 -Wall -Wextra -DCHAND_DEBUG=1 -I$work/objects -I$source
	-fstack-clash-protection --param=stack-clash-protection-guard-size=12
	-isystem $work/sysroot/usr/include"
libs="-L$work/sysroot/usr/lib/aarch64-linux-gnu -Wl,-rpath-link,$work/sysroot/usr/lib/aarch64-linux-gnu
	-levent_core -levent_pthreads -lcmocka -lpthread"

# The sources that the layers' local.mk files name, and every unit test of the two layers.
layer_sources() {
	(cd "$source" && grep -hoE 'server/(base|runtime)/[a-z_0-9]+\.c' \
		server/base/local.mk server/runtime/local.mk | sort -u)
	echo server/runtime/context_aarch64.S
}

compile() {
	: >"$work/objects/config.h"
	for file in $(layer_sources); do
		echo "$cc $(echo $flags) -c $source/$file -o $work/objects/$(basename "$file").o"
	done | xargs -P "$jobs" -I {} sh -c '{}'
	tests=$(cd "$source" && sed 's/tests.unit.[a-z_0-9]*\.sh//g' tests/unit/base.mk \
		tests/unit/runtime.mk | grep -hoE 'tests/unit/test_[a-z_0-9]+' | sort -u)
	for test in $tests; do
		echo "$cc $(echo $flags) $source/$test.c $work/objects/*.o $(echo $libs)" \
			"-o $work/$(basename "$test")"
	done | xargs -P "$jobs" -I {} sh -c '{}'
}

fetch
compile
failed=0 passed=0
for test in $tests; do
	name=$(basename "$test")
	if CMOCKA_MESSAGE_OUTPUT=TAP TEST_EMULATED=1 timeout -k 5 "${TEST_TIMEOUT:-300}" \
		qemu-aarch64 -L "$work/sysroot" "$work/$name" >"$work/$name.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - aarch64 $name"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - aarch64 $name"
		tail -30 "$work/$name.log" | sed 's/^/# /'
	fi
done
echo "1..$((passed + failed))"
[ "$failed" -eq 0 ]
