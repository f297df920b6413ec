"""Tests that print TAP: functions that raise are not ok.

    @test('a sentence that states the law')
    def _(): assert ...

    if __name__ == '__main__': tap.run()
"""
import faulthandler
import sys
import traceback

TESTS = []


class Skip(Exception):
    pass


def test(sentence):
    def add(function):
        TESTS.append((sentence, function))
        return function
    return add


def run(each_s=60):
    """Runs all; a test that takes longer than each_s ends the program with every thread's stack."""
    failed = 0
    print('1..%d' % len(TESTS))
    for number, (sentence, function) in enumerate(TESTS, 1):
        faulthandler.dump_traceback_later(each_s, exit=True)
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
