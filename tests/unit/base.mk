# Unit tests of base: see local.mk.
