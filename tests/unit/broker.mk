# Unit tests of broker: see local.mk.
