# Unit tests of client: see local.mk.
