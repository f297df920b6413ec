# The client in plain Python and its lessons: scripts *.py that print TAP, run by $PYTHON.
#
#   python_tests += tests/python/lessons.py

python_tests =
EXTRA_DIST += $(python_tests)
TESTS += $(python_tests)
