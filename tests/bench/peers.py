"""Measures chand beside its peers and judges it by targets.txt. Run by `make bench-peers`.

usage: peers.py [-n REPETITIONS] [-p PART,PART...] [-k FOLDER] [-j] HARNESS

HARNESS is the folder of the harness (see RESULTS.md), which builds or starts the peers and lets all
take turns: HARNESS/net/run for the daemon, HARNESS/inproc/run for goroutines beside Go.

-n  how often everything is measured (3)
-p  only these parts: w1tcp, w1unix, pinned, free, shared, many, go (all). A repetition of each
    takes 25 to 50 seconds, and the harness waits for a quiet machine besides.
-k  keep what was measured in FOLDER, and judge all that was ever kept there: so a long run may be
    done in parts, or be refined by more repetitions
-j  measure nothing, judge only what FOLDER holds

A ratio is taken within a repetition, so both sides saw the same machine; printed are the median of
those ratios, and the least and the most. The last column is `no`, `must` or `aim`: what is held; with
a question mark where the spread reaches across "must", so that another run may say otherwise.
"""
import getopt
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get('top_builddir') or '.'
PROGRAMS = os.path.join(BUILD, 'tests/bench')

TCP, UNIX = ['relay-tcp', 'chand-tcp'], ['relay-unix', 'chand-unix']

# What net/run is asked for: workloads, who takes part, further arguments. The last processor is the
# one that is least taken by interrupts.
NET_PARTS = {
    'w1tcp': ('W1', TCP + ['redis-list-tcp'], []),
    'w1unix': ('W1', UNIX + ['redis-list-unix'], []),
    'pinned': ('W2,W6', TCP + UNIX, ['-pin', str(max(os.sched_getaffinity(0)))]),
    'free': ('W2,W6', TCP + UNIX, []),
    'shared': ('W6', TCP + UNIX, []),
    'many': ('W4,W5', ['redis-list-tcp', 'beanstalkd', 'chand-tcp'], []),
}
PARTS = [*NET_PARTS, 'go']

# In the part `shared` the fifty senders of the harness's row share one connection.
SHARED_PEER = """#!/bin/sh
test "$1 $2" != "sync 50" || { shift 2; set -- sync -50 "$@"; }
exec '%s' "$@"
"""


class Target:
    """A line of targets.txt."""

    def __init__(self, line):
        row, self.part, what, who, must, aim = (column.strip() for column in line.split('|'))
        self.row = row
        self.measurement, self.figure = what.split(': ')
        self.ours, self.theirs = who.split(' / ')
        self.sense, self.must = must.split()[0], float(must.split()[1])
        self.aim = None if aim == '-' else float(aim)

    def ratios(self, runs):
        """One for each repetition in which both sides were measured."""
        found = []
        for peers in (run[self.measurement] for run in runs if self.measurement in run):
            ours, theirs = peers.get(self.ours, []), peers.get(self.theirs, [])
            if len(ours) == len(theirs):  # else one of them failed once, and turns do not match
                found += [a[self.figure] / b[self.figure] for a, b in zip(ours, theirs)]
        return found

    def holds(self, ratio, bound):
        return ratio <= bound if self.sense == '<=' else ratio >= bound

    def verdict(self, ratios):
        ratio = statistics.median(ratios)
        doubt = '?' if len({self.holds(r, self.must) for r in ratios}) > 1 else ''
        if self.aim is not None and self.holds(ratio, self.aim):
            return 'aim' + doubt
        return ('must' if self.holds(ratio, self.must) else 'no') + doubt


def read_targets():
    with open(os.path.join(HERE, 'targets.txt'), encoding='utf-8') as lines:
        return [Target(line) for line in lines if line.strip() and line[0] != '#']


def measure_net(part, harness, repetitions, raw):
    workloads, names, more = NET_PARTS[part]
    with tempfile.TemporaryDirectory(prefix='chand-bench-') as room:
        peer = os.path.join(PROGRAMS, 'peer')
        if part == 'shared':
            peer = os.path.join(room, 'peer')
            with open(peer, 'w', encoding='utf-8') as script:
                script.write(SHARED_PEER % os.path.join(PROGRAMS, 'peer'))
            os.chmod(peer, 0o755)
        daemon = os.path.join(BUILD, 'chand') + ' --listen '
        run([os.path.join(harness, 'net/run'), '-n', str(repetitions), '-w', workloads,
             '-only', ','.join(names), '-o', raw, *more,
             '-peer', '|'.join(['chand-tcp', 'tcp', peer, daemon + 'tcp://127.0.0.1:{port}']),
             '-peer', '|'.join(['chand-unix', 'unix', peer, daemon + 'unix:{sock}'])])


def measure_go(harness, repetitions, raw):
    run([os.path.join(harness, 'inproc/run'), '-n', str(repetitions), '-o', raw,
         '-peer', 'chand=' + os.path.join(PROGRAMS, 'inproc')])


def run(command):
    """The harness tells its progress on stderr; its tables would repeat what is printed here."""
    print('# ' + ' '.join(command), file=sys.stderr)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def read_go(raw):
    """Lines `go.p1.yield_2 37.8 ns` in the shape of what net/run writes."""
    results = {}
    with open(raw, encoding='utf-8') as lines:
        for name, value, unit in map(str.split, lines):
            program, procs, row = name.split('.')
            peers = results.setdefault('%s P=%s' % (row, procs[1:]), {})
            peers.setdefault(program, []).append({unit: float(value)})
    return results


def read_run(raw):
    if raw.endswith('.txt'):
        return read_go(raw)
    with open(raw, encoding='utf-8') as file:
        return json.load(file)


def measure(part, harness, repetitions, folder):
    number = len(glob.glob(os.path.join(folder, part + '-*')))
    raw = os.path.join(folder, '%s-%d.%s' % (part, number, 'txt' if part == 'go' else 'json'))
    if part == 'go':
        measure_go(harness, repetitions, raw)
    else:
        measure_net(part, harness, repetitions, raw)


def judge(parts, folder):
    runs = {part: [read_run(raw) for raw in glob.glob(os.path.join(folder, part + '-*'))]
            for part in parts}
    print('%-24s %7s  %-17s %3s  %7s %5s  %s'
          % ('row', 'ratio', '(least to most)', 'n', 'must', 'aim', 'held'))
    for target in read_targets():
        if target.part not in parts:
            continue
        ratios = target.ratios(runs[target.part])
        ratio = statistics.median(ratios) if ratios else None
        print('%-24s %7s  %-17s %3d  %2s %4g %5s  %s' % (
            target.row,
            '%.3f' % ratio if ratios else '-',
            '(%.3f to %.3f)' % (min(ratios), max(ratios)) if ratios else '',
            len(ratios), target.sense, target.must,
            '-' if target.aim is None else '%g' % target.aim,
            target.verdict(ratios) if ratios else 'not measured'))


def fail(message):
    sys.exit('peers.py: ' + message)


def main():
    try:
        options, operands = getopt.getopt(sys.argv[1:], 'n:p:k:j')
    except getopt.GetoptError as error:
        fail('%s\n\n%s' % (error, __doc__))
    options = dict(options)
    parts = options.get('-p', ','.join(PARTS)).split(',')
    if not set(parts) <= set(PARTS):
        fail('the parts are ' + ' '.join(PARTS))
    harness = operands[0] if operands else ''
    if '-j' not in options and not os.access(os.path.join(harness, 'net/run'), os.X_OK):
        fail('where is the harness? It lies outside of the project: a folder with the programs '
             'net/run and inproc/run.\nSay: make bench-peers BENCH_HARNESS=FOLDER')
    with tempfile.TemporaryDirectory(prefix='chand-bench-') as room:
        folder = options.get('-k') or room
        os.makedirs(folder, exist_ok=True)
        if '-j' not in options:
            for part in parts:
                measure(part, harness, int(options.get('-n', 3)), folder)
        judge(parts, folder)


main()
