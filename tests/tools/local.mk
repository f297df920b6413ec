# Checks of the tree itself, and what make targets outside of `check` run.

tools_tests = tests/tools/check-layers.sh tests/tools/install.sh
EXTRA_DIST += $(tools_tests) tests/tools/layers.txt
TESTS += $(tools_tests)

include tests/tools/targets.mk
