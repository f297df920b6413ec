#!/bin/sh
# Makes ./configure from configure.ac; needs the packages of conf/packages.debian.
set -e
cd "$(dirname "$0")"
mkdir -p m4
exec autoreconf --install --force --warnings=all,no-obsolete
