"""Tests that print TAP: functions that raise are not ok.

    @test('a sentence that states the law')
    def _(): assert ...

    if __name__ == '__main__': tap.run()
"""
import faulthandler
import os
import sys
import traceback

TESTS = []

# Somewhat earlier than run-test.sh would end us without a word.
LIMIT_S = max(int(os.environ.get('TEST_TIMEOUT') or 120) - 5, 1)


class Skip(Exception):
    pass


def test(sentence):
    def add(function):
        TESTS.append((sentence, function))
        return function
    return add


def run():
    """Runs all; when LIMIT_S are over the program ends with every thread's stack."""
    failed = 0
    print('1..%d' % len(TESTS))
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    for number, (sentence, function) in enumerate(TESTS, 1):
        try:
            function()
            outcome = 'ok %d - %s' % (number, sentence)
        except Skip as reason:
            outcome = 'ok %d - %s # SKIP %s' % (number, sentence, reason)
        except Exception:
            outcome = 'not ok %d - %s' % (number, sentence)
            print('# ' + traceback.format_exc().replace('\n', '\n# '))
            failed += 1
        print(outcome, flush=True)
    faulthandler.cancel_dump_traceback_later()
    sys.exit(1 if failed else 0)
