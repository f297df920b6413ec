# The client in plain Python, written from proto/PROTOCOL.md, and its lessons: scripts *.py that
# print TAP, run by $PYTHON.
#
#   python_tests += tests/python/lessons.py

python_tests = tests/python/test_protocol_md.py tests/python/lessons.py tests/python/leases.py \
	tests/python/bad_input.py tests/python/resume.py tests/python/shell_lessons.sh \
	tests/python/terminal.py
EXTRA_DIST += $(python_tests) tests/python/chand_client.py tests/python/chanctl.py \
	tests/python/daemon.py tests/python/tap.py
TESTS += $(python_tests)
