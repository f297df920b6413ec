# Unit tests of engine: see local.mk.
