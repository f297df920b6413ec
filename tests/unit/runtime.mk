# Unit tests of runtime: see local.mk.
