"""The tutorial's lessons between processes, spoken by a client that was written from PROTOCOL.md."""
import math
import os
import queue
import subprocess
import sys
import threading

from chand_client import DELIVER, DONE, RECV, SEND, TAKEN, TO_RECV, TO_SEND, ChandError, Typed
from daemon import BUILD, HERE, PATIENCE_S, Daemon, wait_for
from tap import Skip, run, test

daemon = Daemon()
CHANCTL_PY = [sys.executable, os.path.join(HERE, 'chanctl.py'), '--url', daemon.url]
CHANCTL = [os.environ.get('CHANCTL') or os.path.join(BUILD, 'chanctl'), '--url', daemon.url]


class Go(threading.Thread):
    """go f(...): join() gives what it returned, or raises what it raised."""

    def __init__(self, f, *args, **named):
        super().__init__(daemon=True)
        self.work, self.result, self.error = (f, args, named), None, None
        self.start()

    def run(self):
        f, args, named = self.work
        try:
            self.result = f(*args, **named)
        except Exception as error:
            self.error = error

    def get(self, seconds=30):
        self.join(seconds)
        assert not self.is_alive(), 'still waits'
        if self.error:
            raise self.error
        return self.result


def refused(status, f, *args, **named):
    """The error of a call that must fail so."""
    try:
        result = f(*args, **named)
    except ChandError as error:
        assert error.status == status, '%s instead of %s' % (error, status)
        return error
    raise AssertionError('%r instead of %s' % (result, status))


def waiting(client, name, **counts):
    wait_for(lambda: all(client.stat(name)[key] == n for key, n in counts.items()), '%s %r' % (name, counts))


def lesson(sentence):
    """A test that gets two sessions, and a name of its own for a channel."""
    def add(f):
        def with_clients():
            with daemon.client('a') as a, daemon.client('b') as b:
                f(a, b, 'lesson/%d' % f.__code__.co_firstlineno)
        test(sentence)(with_clients)
        return f
    return add


def shell(command, *arguments, text=None):
    return subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, timeout=PATIENCE_S)


# ---- from the tutorial -----------------------------------------------------------------------


@lesson('two halves are summed through one channel')
def _(a, b, name):
    c = a.make(name, 'int')
    numbers = [7, 2, 8, -9, 4, 0]
    for half in (numbers[:3], numbers[3:]):
        Go(lambda part: b.open(name, TO_SEND).send(sum(part)), half)
    x, y = c.recv()[0], c.recv()[0]
    assert {x, y} == {17, -5} and x + y == 12


@lesson('a channel of 2 takes two values without a receiver')
def _(a, b, name):
    c = a.make(name, 'int', 2)
    c.send(1)
    c.send(2)
    refused('EWOULDBLOCK', c.send, 3, try_=True)
    assert [b.open(name).recv()[0] for _ in range(2)] == [1, 2]


@lesson('fibonacci over a channel of 10: cap, close and range')
def _(a, b, name):
    def fibonacci(c):
        x, y = 0, 1
        for _ in range(c.capacity):
            c.send(x)
            x, y = y, x + y
        c.close()
    c = a.make(name, 'int', 10)
    producer = Go(fibonacci, b.open(name, TO_SEND))
    assert list(c.range()) == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    producer.get()


@lesson('fibonacci with select and quit')
def _(a, b, name):
    c, quit_ = a.make(name, 'int'), a.make(name + '/quit', 'signal')

    def consumer():
        mine = b.open(name, TO_RECV)
        got = [mine.recv()[0] for _ in range(10)]
        b.open(name + '/quit', TO_SEND).send(None)
        return got
    consuming = Go(consumer)
    x, y = 0, 1
    while True:
        index, _, ok = a.select([('send', c, x), ('recv', quit_)])
        assert ok
        if index == 1:
            break
        x, y = y, x + y
    assert consuming.get() == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]


@lesson('v, ok: what is left comes first, then ok is False for ever')
def _(a, b, name):
    c = a.make(name, 'string', 5)
    c.send('left')
    c.close('all said')
    d = b.open(name, TO_RECV)
    assert [d.recv() for _ in range(4)] == [('left', True)] + [(None, False)] * 3


@lesson('a send on a closed channel says who closed it; so does a second close')
def _(a, b, name):
    c = a.make(name, 'string', 5)
    c.close('enough')
    error = refused('ECLOSED', b.open(name).send, 'late')
    assert error.fields['closed_by'].startswith('a[%d]' % os.getpid()), error.fields
    assert error.fields['reason'] == 'enough' and error.fields['closed_unix_ns'] > 0
    refused('ECLOSED', c.close)


@lesson('a close wakes what waits: receivers with ok False, senders with ECLOSED')
def _(a, b, name):
    c = a.make(name, 'int')
    receivers = [Go(b.open(name).recv) for _ in range(3)]
    waiting(a, name, receivers_waiting=3)
    c.close()
    assert [r.get() for r in receivers] == [(None, False)] * 3
    full = a.make(name + '/full', 'int', 1)
    full.send(1)
    sender = Go(b.open(name + '/full').send, 2)
    waiting(a, name + '/full', senders_waiting=1)
    full.close()
    refused('ECLOSED', sender.get)
    assert list(full.range()) == [1]


@lesson('a daisy chain of 200 channels')
def _(a, b, name):
    links = [a.make('%s/%d' % (name, i), 'int') for i in range(201)]

    def whisper(left, right):
        left.send(1 + right.recv()[0])
    for left, right in zip(links, links[1:]):
        Go(whisper, left, right)
    b.open('%s/200' % name).send(1)
    assert links[0].recv() == (201, True)


@lesson('the concurrent prime sieve')
def _(a, b, name):
    def generate(c):
        n = 2
        try:
            while True:
                c.send(n)
                n += 1
        except ChandError:
            pass

    def filter_(source, sink, prime):
        try:
            while True:
                n = source.recv()[0]
                if n is None or n % prime:
                    sink.send(n)
        except ChandError:
            pass
    c, primes = a.make('', 'int'), []
    Go(generate, c)
    for _ in range(12):
        primes.append(c.recv()[0])
        sink = a.make('', 'int')
        Go(filter_, c, sink, primes[-1])
        c = sink
    assert primes == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]


# ---- waiting, and not waiting ----------------------------------------------------------------


@lesson('an unbuffered send is done when its value was taken, not before')
def _(a, b, name):
    c = a.make(name, 'string')
    sender = Go(b.open(name).send, 'hand to hand')
    waiting(a, name, senders_waiting=1)
    delivery = c.receive()
    assert delivery.value == 'hand to hand' and a.ping() and b.ping() and sender.is_alive()
    delivery.take()
    sender.get()


@lesson('without a buffer the values of one frame are offered one after another')
def _(a, b, name):
    c = a.make(name, 'int')
    sender = Go(b.open(name).send_many, [1, 2, 3])
    delivery = c.receive()
    refused('EWOULDBLOCK', c.recv, try_=True)  # the second waits for the first
    delivery.back(answered=True)
    assert [c.recv() for _ in range(3)] == [(1, True), (2, True), (3, True)]
    assert sender.get() == 3


@lesson('try: as if at this instant')
def _(a, b, name):
    c = a.make(name, 'int')
    refused('EWOULDBLOCK', c.recv, try_=True)
    refused('EWOULDBLOCK', c.send, 1, try_=True)
    receiver = Go(b.open(name).recv)
    waiting(a, name, receivers_waiting=1)
    c.send(5, try_=True)
    assert receiver.get() == (5, True)


@lesson('what timed out had no effect')
def _(a, b, name):
    c = a.make(name, 'int', 1)
    refused('ETIMEDOUT', c.recv, timeout=0.02)
    c.send(1)
    refused('ETIMEDOUT', c.send, 2, timeout=0.02)
    assert len(c) == 1
    assert c.recv() == (1, True)
    refused('EWOULDBLOCK', c.recv, try_=True)


@lesson('a cancelled receive takes nothing; a cancel behind the result changes nothing')
def _(a, b, name):
    c = a.make(name, 'int', 1)
    seq = a.start(RECV, dict(channel=c.id))
    waiting(b, name, receivers_waiting=1)
    assert a.withdraw(seq) is None
    c.send(9)
    assert len(c) == 1
    seq = a.start(RECV, dict(channel=c.id))
    kind, message, _ = a.withdraw(seq)
    assert kind == DELIVER
    a.settle(TAKEN, message['delivery'], answered=True)
    assert len(c) == 0


@lesson('first come, first served: receivers in the order in which they began to wait')
def _(a, b, name):
    c = a.make(name, 'int')
    receivers = []
    for n in range(5):
        receivers.append(Go(b.open(name).recv))
        waiting(a, name, receivers_waiting=n + 1)
    for n in range(5):
        c.send(n)
    assert [r.get()[0] for r in receivers] == [0, 1, 2, 3, 4]


@lesson('a waiting receive does not hold up the other channels of its connection')
def _(a, b, name):
    slow, quick = a.make(name + '/slow', 'int'), a.make(name + '/quick', 'int', 1)
    receiver = Go(slow.recv)
    waiting(b, name + '/slow', receivers_waiting=1)
    for n in range(100):
        quick.send(n)
        assert quick.recv() == (n, True)
    b.open(name + '/slow').send(1)
    assert receiver.get() == (1, True)


# ---- select ----------------------------------------------------------------------------------


@lesson('select: a ready case, default, deadline')
def _(a, b, name):
    x, y = a.make(name + '/x', 'int', 1), a.make(name + '/y', 'int', 1)
    refused('EWOULDBLOCK', a.select, [('recv', x), ('recv', y)], try_=True)
    refused('ETIMEDOUT', a.select, [('recv', x), ('recv', y)], timeout=0.02)
    y.send(3)
    assert a.select([('recv', x), ('recv', y)]) == (1, 3, True)
    x.send(1)
    y.send(2)
    assert a.select([('send', x, 9), ('recv', y)]) == (1, 2, True)
    x.close()
    assert a.select([('recv', y), ('recv', x)]) == (1, 1, True)
    assert a.select([('recv', y), ('recv', x)]) == (1, None, False)
    refused('ECLOSED', a.select, [('send', x, 1)])


@lesson('select waits in all its cases, and the losing ones leave no trace')
def _(a, b, name):
    x, y = a.make(name + '/x', 'int'), a.make(name + '/y', 'string')
    selecting = Go(a.select, [('recv', x), ('send', y, 'value')])
    waiting(b, name + '/x', receivers_waiting=1)
    waiting(b, name + '/y', senders_waiting=1)
    assert b.open(name + '/y').recv() == ('value', True)
    assert selecting.get() == (1, None, True)
    assert b.stat(name + '/x')['receivers_waiting'] == 0
    refused('EWOULDBLOCK', b.open(name + '/x').send, 1, try_=True)


@lesson('select chooses among ready cases at random')
def _(a, b, name):
    x, y = a.make(name + '/x', 'int', 200), a.make(name + '/y', 'int', 200)
    for n in range(200):
        x.send(n)
        y.send(n)
    chosen = [a.select([('recv', x), ('recv', y)])[0] for _ in range(200)]
    assert 50 < sum(chosen) < 150, sum(chosen)


# ---- types, names, channels as values ---------------------------------------------------------


@lesson('values of all eight types come through as they were')
def _(a, b, name):
    for kind, values in (('int', [0, -2**63, 2**63 - 1]), ('float', [0.1, -math.inf, 5e-324]), ('bool', [True, False]),
                         ('string', ['', 'grüße', 'a\0b\n']), ('bytes', [b'', bytes(range(256))]), ('signal', [None]),
                         ('any', [1, 2.5, True, 'text', b'\xff', None])):
        c = a.make('%s/%s' % (name, kind), kind, 10)
        for value in values:
            c.send(value)
        c.close()
        assert list(b.open('%s/%s' % (name, kind)).range()) == values, kind


@lesson('a value of another type is refused, both are named, the channel is untouched')
def _(a, b, name):
    c = a.make(name, 'int', 5)
    error = refused('ETYPE', a.call, SEND, dict(channel=c.id, count=1, type=4), b'\0\0\0\0\x08eight...')
    assert 'int' in error.message and 'string' in error.message, error.message
    refused('ETYPE', a.call, SEND, dict(channel=c.id, count=1), b'\0\0\0\0\x03abc')
    s = a.make(name + '/s', 'string', 5)
    refused('ETYPE', s.send, b'\xff')
    refused('ETYPE', a.make(name + '/any', 'any', 5).send, Typed('string', b'\xff'))
    assert len(c) == len(s) == 0


@lesson('make again opens; with other attributes the difference is shown')
def _(a, b, name):
    assert a.make(name, 'int', 5).created and not b.make(name, 'int', 5).created
    assert b.make(name, 'int', 5, direction=0) is False
    error = refused('EEXIST', b.make, name, 'string', 5)
    assert 'int' in error.message and 'string' in error.message, error.message
    refused('EEXIST', b.make, name, 'int', 6)
    refused('EEXIST', b.make, name, 'int', 5, temporary=True)


@lesson('an unknown name is refused, or waited for')
def _(a, b, name):
    assert name in refused('ENOCHANNEL', a.open, name).message
    opening = Go(a.open, name, wait_create=True)
    wait_for(lambda: any(w['operation'] == 'open' for w in b.ps()), 'the open to wait')
    b.make(name, 'int', 1).send(4)
    assert opening.get().recv() == (4, True)
    refused('ETIMEDOUT', a.open, name + '/never', wait_create=True, timeout=0.02)


@lesson('an end is for sending, for receiving, or both')
def _(a, b, name):
    a.make(name, 'int', 1)
    refused('EWRONGEND', b.open(name, TO_SEND).recv, try_=True)
    with daemon.client() as c:
        refused('EWRONGEND', c.open(name, TO_RECV).send, 1)
        refused('EWRONGEND', c.open(name, TO_RECV).close)


@lesson('a removed channel wakes what waits; its id is stale, its name free')
def _(a, b, name):
    old = a.make(name, 'int')
    receiver = Go(old.recv)
    waiting(b, name, receivers_waiting=1)
    b.remove(name)
    refused('EREMOVED', receiver.get)
    refused('ESTALE', old.send, 1)
    new = b.make(name, 'int', 1)
    assert new.created and new.id != old.id
    refused('ESTALE', old.recv, try_=True)
    refused('ENOCHANNEL', b.remove, name + '/none')


@lesson('request and reply: an unnamed channel travels in a chan value')
def _(a, b, name):
    requests = a.make(name, 'chan', 1)

    def serve():
        reference, _ = b.open(name, TO_RECV).recv()
        reply = b.open_reference(reference)
        refused('EWRONGEND', reply.recv, try_=True)
        reply.send('the answer')
    serving = Go(serve)
    reply = a.make('', 'string')
    requests.send(reply.reference(TO_SEND))
    assert reply.recv() == ('the answer', True)
    serving.get()


@lesson('when the other side has died, who waits for it is told')
def _(a, b, name):
    requests = a.make(name, 'chan', 1)
    reply = a.make('', 'string')
    requests.send(reply.reference(TO_SEND))
    receiver = Go(reply.recv)
    with daemon.client() as server:
        server.open(name).recv()
        receiver.join(0.05)
        assert receiver.is_alive()
    refused('EABORTED', receiver.get)
    refused('EABORTED', reply.recv, timeout=PATIENCE_S)


@lesson('a temporary channel goes with the last session that holds it')
def _(a, b, name):
    with daemon.client() as c:
        c.make(name, 'int', 1, temporary=True).send(1)
        b.open(name).release()
        assert b.stat(name)['temporary']
    wait_for(lambda: not [s for s in a.list(name) if s['name'] == name], 'the channel to go')


# ---- deliver, taken, return ------------------------------------------------------------------


@lesson('a value that is out counts, and comes back to its place, marked')
def _(a, b, name):
    c = a.make(name, 'int', 2)
    c.send(1)
    c.send(2)
    delivery = b.open(name).receive()
    assert (delivery.value, delivery.attempt) == (1, 1)
    assert len(c) == 2 and a.stat(name)['in_flight'] == 1
    refused('EWOULDBLOCK', c.send, 3, try_=True)
    delivery.back(answered=True)
    again = c.receive()
    assert (again.value, again.attempt) == (1, 2)
    again.take()
    assert c.recv() == (2, True)


@lesson('a receiver that is lost gives back what it had not taken')
def _(a, b, name):
    c = a.make(name, 'int', 5)
    for n in range(3):
        c.send(n)
    with daemon.client() as lost:
        assert lost.open(name).receive().value == 0
        lost.stream.shutdown(2)
    got = [c.receive() for _ in range(3)] if a.ping() else []
    assert sorted(d.value for d in got) == [0, 1, 2]
    assert [d.attempt for d in got if d.value == 0] == [2]
    for d in got:
        d.take()


@lesson('a session that lingers goes through cuts: every value once, in order, large ones too')
def _(a, b, name):
    c = a.make(name, 'string', 3)
    values = ['%d.' % n + 'x' * (n % 7 * 30000) for n in range(120)]
    with daemon.client(linger=30) as sender, daemon.client(linger=30) as receiver:
        to, of = sender.open(name), receiver.open(name)
        sent = Go(lambda: [to.send(value) for value in values])
        got = []
        for n in range(len(values)):
            if n % 10 == 3:
                (sender if n % 20 == 3 else receiver).stream.shutdown(2)
            got.append(of.receive().take())
        sent.get()
        assert got == values
        assert sender.epoch > 3 and receiver.epoch > 3
        sender.ping()
        assert not sender.kept.frames


@lesson('what was settled is gone: a second settlement is told so')
def _(a, b, name):
    c = a.make(name, 'int', 5)
    c.send(1)
    delivery = c.receive()
    delivery.take(answered=True)
    refused('EGONE', delivery.take, answered=True)
    refused('EGONE', delivery.back, answered=True)


@lesson('a close waits for what is out: returned, it is offered to the next receiver')
def _(a, b, name):
    c = a.make(name, 'int', 5)
    c.send(1)
    delivery = b.open(name).receive()
    c.close()
    refused('EWOULDBLOCK', c.recv, try_=True)
    receiver = Go(c.recv)
    waiting(a, name, receivers_waiting=1)
    delivery.back()
    assert receiver.get() == (1, True)
    assert c.recv() == (None, False)


@lesson('credit: no more values than were asked for are out')
def _(a, b, name):
    c = a.make(name, 'int', 100)
    for n in range(50):
        c.send(n)
    stream = b.open(name).deliveries(credit=8)
    first = next(stream)
    wait_for(lambda: a.stat(name)['in_flight'] == 8, 'eight to be out')
    first.take()
    got = [first.value]
    for delivery in stream:
        got.append(delivery.take())
        assert a.stat(name)['in_flight'] <= 8
        if len(got) == 20:
            break
    stream.close()
    assert got == list(range(20))
    left = [c.recv()[0] for _ in range(30)]
    assert left == list(range(20, 50)), left


# ---- many, large -----------------------------------------------------------------------------


@lesson('four consumers get each of 20,000 values once, and each in order')
def _(a, b, name):
    c = a.make(name, 'int', 100)
    clients = [daemon.client() for _ in range(4)]
    consumers = [Go(lambda k: list(k.open(name, TO_RECV).range(credit=64)), k) for k in clients]
    assert b.open(name, TO_SEND).send_many(range(20000)) == 20000
    c.close()
    got = [consumer.get(60) for consumer in consumers]
    for part in got:
        assert part == sorted(part)
    assert sorted(sum(got, [])) == list(range(20000))
    for k in clients:
        k.hang_up()


@lesson('a value of the largest size travels in pieces, one over it is refused')
def _(a, b, name):
    c = a.make(name, 'bytes', 4)
    largest = a.welcome['limits']['value_bytes']
    value = os.urandom(1 << 16) * (largest >> 16)
    c.send(value)
    assert b.open(name).recv() == (value, True)
    assert str(largest) in refused('ETOOLARGE', c.send, value + b'x').message
    assert len(c) == 0
    c.send(b'small')
    assert b.open(name).recv() == (b'small', True)
    assert a.select([('send', c, value)]) == (0, None, True)
    assert a.select([('recv', c)]) == (0, value, True)


@lesson('while a large value arrives in pieces, others pass')
def _(a, b, name):
    large, small = a.make(name + '/large', 'bytes', 1), a.make(name + '/small', 'int', 1)
    value = bytes(300000)
    seq = a.seq + 1
    pieces = list(a.frames(SEND, dict(seq=seq, channel=large.id, count=1), b'\0' + len(value).to_bytes(4, 'big') + value))
    a.answers[seq] = queue.Queue()
    a.seq += 1
    for n, piece in enumerate(pieces):
        a.write(piece)
        small.send(n)
        assert small.recv() == (n, True)
    assert a.next_answer(seq)[0] == DONE
    assert b.open(name + '/large').recv() == (value, True)


# ---- looking ---------------------------------------------------------------------------------


@lesson('stat, list and ps show what is')
def _(a, b, name):
    c = a.make(name, 'int', 3)
    c.send(1)
    s = b.stat(name)
    assert (s['name'], s['capacity'], s['length'], s['closed'], s['sent']) == (name, 3, 1, False, 1)
    names = ['%s/%03d' % (name, i) for i in range(300)]
    for n in reversed(names):
        b.make(n, 'int', direction=0)
    assert [s['name'] for s in a.list(name + '/')] == names
    receiver = Go(b.open(names[0]).recv)
    waiting(a, names[0], receivers_waiting=1)
    mine = [w for w in a.ps() if names[0] in w['channels']]
    assert [(w['operation'], w['speaker']['program'], w['speaker']['pid']) for w in mine] == [('recv', 'b', os.getpid())]
    a.open(names[0]).send(1)
    receiver.get()


# ---- processes -------------------------------------------------------------------------------


def producers_and_consumers(producer, consumer, name):
    assert shell(CHANCTL_PY, 'make', name, '--type', 'string', '--cap', '10').returncode == 0
    lines = ''.join('line %d\n' % n for n in range(2000))
    consuming = subprocess.Popen([*consumer, 'range', name], stdout=subprocess.PIPE, text=True)
    sent = shell(producer, 'send', name, '--lines', '--close', text=lines)
    assert (sent.returncode, sent.stdout) == (0, ''), sent
    assert consuming.communicate(timeout=PATIENCE_S)[0] == lines
    assert consuming.returncode == 0


@lesson('two processes share a channel: seq | send --lines --close, range')
def _(a, b, name):
    producers_and_consumers(CHANCTL_PY, CHANCTL_PY, name)


@lesson('chanctl and this client understand each other, both ways')
def _(a, b, name):
    if not os.access(CHANCTL[0], os.X_OK):
        raise Skip('chanctl is not built')
    producers_and_consumers(CHANCTL_PY, CHANCTL, name + '/1')
    producers_and_consumers(CHANCTL, CHANCTL_PY, name + '/2')
    for kind, text in (('int', '-42'), ('float', '1.5'), ('bool', 'true'), ('string', 'grüße'), ('any', 'x')):
        channel = '%s/%s' % (name, kind)
        assert shell(CHANCTL, 'make', channel, '--type', kind, '--cap', '1').returncode == 0
        for one, other in ((CHANCTL, CHANCTL_PY), (CHANCTL_PY, CHANCTL)):
            assert shell(one, 'send', channel, '--', text).returncode == 0, kind
            assert shell(other, 'recv', channel).stdout == text + '\n', kind


@lesson("the shell's exit codes")
def _(a, b, name):
    def expect(status, *arguments, **more):
        done = shell(CHANCTL_PY, *arguments, **more)
        assert done.returncode == status, (arguments, done)
        return done.stdout
    expect(0, 'make', name, '--type', 'int', '--cap', '1')
    expect(0, 'send', name, '5')
    expect(2, 'send', name, '6', '--try')
    expect(124, 'send', name, '6', '--timeout', '20ms')
    assert expect(0, 'recv', name) == '5\n'
    expect(2, 'recv', name, '--try')
    expect(124, 'recv', name, '--timeout', '20ms')
    expect(65, 'send', name, 'six')
    expect(66, 'recv', name + '/none')
    expect(66, 'make', name, '--type', 'string')
    expect(64, 'make', 'a name')
    expect(2, 'select', 'recv:' + name, '--try')
    assert expect(0, 'select', 'send:%s=7' % name) == 'send %s\n' % name
    assert expect(0, 'select', 'recv:' + name) == 'recv %s 7\n' % name
    expect(0, 'close', name)
    assert expect(1, 'select', 'recv:' + name) == 'closed %s\n' % name
    expect(1, 'recv', name)
    expect(3, 'send', name, '1')
    expect(3, 'close', name)
    expect(0, 'range', name)
    assert '"closed":true' in expect(0, 'stat', name, '--json')
    expect(0, 'rm', name)
    expect(66, 'rm', name)


@test('the same over TCP')
def _():
    name = 'lesson/tcp'
    over_tcp = [*CHANCTL_PY[:-1], daemon.tcp_url]
    producers_and_consumers(over_tcp, CHANCTL_PY, name)


@test('SIGTERM answers who waits with ESHUTDOWN, and the daemon exits 0')
def _():
    a = daemon.client()
    receiver = Go(a.make('lesson/last', 'int').recv)
    waiting(a, 'lesson/last', receivers_waiting=1)
    assert daemon.end() == 0
    refused('ESHUTDOWN', receiver.get)


if __name__ == '__main__':
    run()
