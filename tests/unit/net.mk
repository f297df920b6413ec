# Unit tests of net: see local.mk.
