# Unit tests of proto: see local.mk.
