"""Bad input: each gets a clear error that names the limit, nothing is changed, and the other
connections go on. A frame that cannot be parsed ends its own connection alone."""
import os
import random
import socket

import chand_client as c
from chand_client import ChandError, frame
from daemon import PATIENCE_S, Daemon, wait_for
from tap import run, test

CHANNELS_MAX, OPS_MAX, ENDS_MAX, CONNECTIONS_MAX = 40, 64, 20, 30
daemon = Daemon('--channels-max', str(CHANNELS_MAX), '--ops-in-flight-max', str(OPS_MAX), '--ends-max', str(ENDS_MAX),
                '--connections-max', str(CONNECTIONS_MAX), '--capacity-max', '1000', '--value-bytes-max', '100K',
                '--buffered-bytes-max', '1M', '--bytes-in-flight-max', '300K', '--hello-timeout', '3s')
bystander = daemon.client('bystander')
witness = bystander.make('witness', 'int', 10)
witness.send(1)


def undisturbed():
    """The bystander's connection works, and its channel is as it was."""
    bystander.ping()
    stat = bystander.stat('witness')
    assert (stat['length'], stat['closed'], stat['in_flight']) == (1, False, 0), stat
    assert daemon.process.poll() is None, 'the daemon has ended'


HELLO = frame(c.HELLO, dict(version_min=1, version_max=1, speaker=dict(program='bad')))


class Raw:
    """A connection without a library."""

    def __init__(self, first=HELLO):
        self.stream = c.connect(daemon.url)
        self.stream.settimeout(PATIENCE_S)
        self.data = b''
        if first:
            self.send(first)

    def send(self, data):
        try:
            self.stream.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was ended meanwhile; what the broker said is read below

    def next(self):
        """(kind, message) of the next frame; None at the end of the connection."""
        while True:
            parsed = c.parse_frame(self.data)
            if parsed:
                self.data = parsed[4]
                return parsed[0], parsed[2]
            try:
                part = self.stream.recv(65536)
            except ConnectionResetError:
                part = b''
            if not part:
                return None
            self.data += part

    def farewell(self):
        """The GOAWAY that ends the connection, which must then end."""
        while True:
            got = self.next()
            assert got, 'the connection ended without GOAWAY'
            if got[0] == c.GOAWAY:
                assert self.next() is None
                self.stream.close()
                return got[1]


def breach(what, data, *words, first=HELLO, status='EPROTOCOL'):
    """A test: these bytes end their connection, with a sentence that has these words."""
    @test(what)
    def _():
        raw = Raw(first)
        raw.send(data)
        goaway = raw.farewell()
        assert c.STATUS[goaway['status']] == status, goaway
        for word in words:
            assert word in goaway['message'], goaway['message']
        undisturbed()


def prefix(length, kind=c.STAT, flags=0, header_bytes=0):
    return c.PREFIX.pack(length, kind, flags, header_bytes)


def raw_header(kind, header, payload=b''):
    return prefix(4 + len(header) + len(payload), kind, 0, len(header)) + header + payload


VALUE = b'\0\0\0\0\x08........'
MADE = HELLO + frame(c.MAKE, dict(seq=1, name='bad', type=1, capacity=100, direction=3))

breach('a length below the least', prefix(3), 'at least 4', 'not 3')
breach('a length above the most', b'\xff\xff\xff\xff', '82948', '4294967295')
breach('flags that are not defined', prefix(4, flags=0x82), 'flags')
breach('a header above the most', prefix(20004, header_bytes=20000), '16384', '20000')
breach('a header longer than its frame', prefix(4, header_bytes=10), '10 bytes')
breach('a payload above the most', prefix(70004), '66560', '70000')
breach('an unknown kind', prefix(4, kind=99), '99')
breach("a kind of the broker's side", frame(c.OPENED, dict(seq=1, channel=1)), 'OPENED')
breach('another protocol', b'GET / HTTP/1.1\r\nHost: here\r\n\r\n', first=b'')
breach('an operation before HELLO', frame(c.STAT, dict(seq=1, name='x')), 'HELLO', first=b'')
breach('a second HELLO', HELLO, 'HELLO')
breach('a header that is not protobuf', raw_header(c.STAT, b'\xff\xff\xff'), 'STAT')
breach('a string with NUL', raw_header(c.REMOVE, b'\x08\x01\x12\x09witness\0x'), 'REMOVE')
breach('a string that is not UTF-8', raw_header(c.REMOVE, b'\x08\x01\x12\x02\xc3\x28'), 'REMOVE')
breach('an operation without a number', frame(c.STAT, dict(name='x')), 'seq')
breach('a number that does not rise', frame(c.STAT, dict(seq=5, name='x')) * 2, '5', 'rise')
breach('a number inside the range of a SEND', frame(c.SEND, dict(seq=2, channel=1, count=3, payload_bytes=39), VALUE * 3) +
       frame(c.STAT, dict(seq=4, name='x')), 'rise', first=MADE)
breach('numbers that would wrap', frame(c.SEND, dict(seq=2**64 - 1, channel=1, count=3, payload_bytes=39), VALUE * 3))
breach('a count that is not the payload\'s', frame(c.SEND, dict(seq=2, channel=1, count=3, payload_bytes=26), VALUE * 2),
       '3 values', first=MADE)
breach('more values than announced', frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=26), VALUE * 2), first=MADE)
breach('a payload of another length than announced', frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=99), VALUE),
       '99', first=MADE)
breach('a value that ends behind its payload', frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=6), b'\0\0\0\0\x09x'),
       first=MADE)
breach('a value with undefined flags', frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=5), b'\x80\0\0\0\0'), first=MADE)
breach('a SEND without values', frame(c.SEND, dict(seq=2, channel=1)), '1 to 4096', first=MADE)
breach('a SEND of too many values', frame(c.SEND, dict(seq=2, channel=1, count=2**31)), '1 to 4096', first=MADE)
breach('a payload on a message that has none', frame(c.STAT, dict(seq=2, name='x'), b'xyz'))
breach('a message that goes on and cannot', frame(c.STAT, dict(seq=2, name='x'), b'', c.MORE), 'pieces')
breach('a batch in pieces', frame(c.SEND, dict(seq=2, channel=1, count=2, payload_bytes=26), VALUE, c.MORE), first=MADE)
breach('a PIECE that continues nothing', frame(c.PIECE, dict(id=7), b'xyz'), '7')
breach('pieces longer than announced', frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=13), VALUE[:5], c.MORE) +
       frame(c.PIECE, dict(id=2), b'123456789'), first=MADE)
breach('pieces shorter than announced', frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=13), VALUE[:5], c.MORE) +
       frame(c.PIECE, dict(id=2), b'1'), first=MADE)
breach('deliveries whose numbers wrap', frame(c.TAKEN, dict(seq=1, deliveries=[dict(first=2**64 - 1, count=2**64 - 1)])))
breach('versions that the broker does not speak', frame(c.HELLO, dict(version_min=2, version_max=9)), 'version',
       first=b'', status='ENOTSUP')
breach('credentials', frame(c.HELLO, dict(version_min=1, version_max=1, credentials=dict(mechanism='kerberos'))), 'kerberos',
       first=b'', status='ENOTSUP')
breach('a token that is none', frame(c.HELLO, dict(version_min=1, version_max=1, credentials=dict(mechanism='token'))), 'token',
       first=b'', status='EAUTH')
breach('a session to resume, of another incarnation',
       frame(c.HELLO, dict(version_min=1, version_max=1, session_id=b'x' * 16, incarnation=1)), first=b'', status='ERESTARTED')
breach('a session that is not known',
       frame(c.HELLO, dict(version_min=1, version_max=1, session_id=b'x' * 16, incarnation=bystander.welcome['incarnation'])),
       'no such session', first=b'', status='EUNKNOWN')


@test('a connection that says nothing is closed, one with half a frame too')
def _():
    for first in (b'', HELLO[:5]):
        raw = Raw(first)
        got = raw.next()
        assert got is None or (got[0] == c.GOAWAY and raw.next() is None), got
    undisturbed()


@test('frames byte by byte, and connections lost at any byte')
def _():
    transcript = MADE + frame(c.SEND, dict(seq=2, channel=1, count=1, payload_bytes=13), VALUE) + frame(c.RECV, dict(seq=3, channel=1))
    slow = Raw(b'')
    for i in range(len(HELLO)):
        slow.send(HELLO[i:i + 1])
    assert slow.next()[0] == c.WELCOME
    for cut in range(0, len(transcript), 3):
        raw = Raw(transcript[:cut])
        raw.stream.close()
    bystander.remove('bad')
    undisturbed()


@test('bytes at random, and good frames with bytes turned')
def _():
    seed = int(os.environ.get('TEST_SEED', random.randrange(1 << 30)))
    print('# TEST_SEED=%d' % seed)
    dice = random.Random(seed)
    good = [frame(c.MAKE, dict(seq=1, name='fuzz', type=4, capacity=3, direction=3)), frame(c.STAT, dict(seq=1, name='witness')),
            frame(c.SEND, dict(seq=1, channel=9, count=1, payload_bytes=13), VALUE),
            frame(c.SELECT, dict(seq=1, cases=[dict(channel=9, direction=2)] * 5)),
            frame(c.TAKEN, dict(seq=1, deliveries=[dict(first=1, count=2**63)])), frame(c.RECV, dict(seq=1, channel=9)),
            frame(c.CANCEL, dict(seq=1, target=1)), frame(c.CLOSE, dict(seq=1, channel=9)), frame(c.PS, dict(seq=1)),
            frame(c.LIST, dict(seq=1)), frame(c.GRANT, dict(seq=1, credit=2**32 - 1)), frame(c.RELEASE, dict(seq=1, channel=9))]
    for _ in range(400):
        data = bytearray(dice.choice(good))
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        raw = Raw(HELLO + bytes(data) if dice.randrange(8) else dice.randbytes(dice.randrange(1, 200)))
        if dice.randrange(2):
            raw.stream.shutdown(socket.SHUT_WR)
            while raw.next():
                pass
        raw.stream.close()
    for stat in list(bystander.list()):
        if stat['name'] != 'witness':
            bystander.remove(stat['name'])
    undisturbed()


# ---- refused, and the connection goes on -----------------------------------------------------


def refusal(what, status, words, operation):
    """A test: operation(client, channel) is refused so, and everything works on."""
    @test(what)
    def _():
        with daemon.client('bad') as client:
            channel = client.make('refusals', 'int', 2, temporary=True)
            before = sorted(s['name'] for s in client.list())
            try:
                operation(client, channel)
                raise AssertionError('it was not refused')
            except ChandError as error:
                assert error.status == status, error
                for word in words:
                    assert word in error.message, error.message
            assert sorted(s['name'] for s in client.list()) == before
            assert len(channel) == 0
            channel.send(1)
            assert channel.recv() == (1, True)
        undisturbed()


def call(kind, payload=b'', **fields):
    return lambda client, channel: client.call(kind, {'channel': channel.id, **fields} if 'channel' in c.MESSAGES[kind] else fields, payload)


for bad in ('a b', 'a\n', 'ü', 'x' * 256, 'a*', "';"):
    refusal('the name %r' % bad[:20], 'EINVAL', ['255', 'A-Z'], call(c.MAKE, name=bad, type=1))
refusal('an unnamed channel without an end', 'EINVAL', [], call(c.MAKE, type=1))
for bad in (0, 9, 2**32 - 1):
    refusal('type %d' % bad, 'EINVAL', ['type'], call(c.MAKE, name='new', type=bad))
refusal('a negative capacity', 'EINVAL', ['-1', '1000'], call(c.MAKE, name='new', type=1, capacity=-1))
refusal('a capacity above the most', 'EINVAL', ['1001', '1000'], call(c.MAKE, name='new', type=1, capacity=1001))
refusal('the largest capacity that a number can say', 'EINVAL', ['1000'], call(c.MAKE, name='new', type=1, capacity=2**63 - 1))
refusal('a direction that is none', 'EINVAL', ['direction'], call(c.MAKE, name='new', type=1, direction=4))
refusal('to open without a direction', 'EINVAL', ['direction'], call(c.OPEN, name='refusals'))
refusal('a channel that never was', 'EINVAL', [], lambda client, channel: client.call(c.RECV, dict(channel=2**40)))
refusal('channel 0', 'EINVAL', [], lambda client, channel: client.call(c.RECV, {}))
refusal("another session's channel", 'EWRONGEND', [], lambda client, channel: client.call(c.RECV, dict(channel=witness.id)))
refusal('a value of another length', 'ETYPE', ['int'], call(c.SEND, b'\0\0\0\0\x03abc', count=1))
refusal('a value that says another type', 'ETYPE', ['int', 'string'], call(c.SEND, VALUE, count=1, type=4))
refusal('a select case that says another type', 'ETYPE', ['int', 'string'], lambda client, channel: client.call(
    c.SELECT, dict(cases=[dict(channel=channel.id, direction=1, type=4)]), VALUE))
refusal('a value above the most', 'ETOOLARGE', ['102400'], lambda client, channel: client.make(
    '', 'bytes').send(bytes(102401)))
refusal('a value far above the most, in pieces', 'ETOOLARGE', ['102400'], lambda client, channel: client.make(
    '', 'bytes').send(bytes(500000)))
refusal('too many cases', 'EINVAL', ['1024'], lambda client, channel: client.call(
    c.SELECT, dict(cases=[dict(channel=channel.id, direction=2)] * 1025)))
refusal('a case in no direction', 'EINVAL', ['case 0'], lambda client, channel: client.call(
    c.SELECT, dict(cases=[dict(channel=channel.id)])))
refusal('too much credit', 'ELIMIT', ['4096'], call(c.RECV, credit=4097, stream=True))
refusal('another epoch', 'ESTALE', [], call(c.RECV, epoch=7))
DAY = 86400 * 10**9
ONE = [dict(first=1, count=1)]
refusal('a lease above the longest', 'EINVAL', [str(DAY)], call(c.RECV, lease_ns=DAY + 1))
refusal('a case with a lease above the longest', 'EINVAL', [str(DAY)], lambda client, channel: client.call(
    c.SELECT, dict(cases=[dict(channel=channel.id, direction=2, lease_ns=2**64 - 1)])))
refusal('a delay above the longest', 'EINVAL', [str(DAY)], call(c.RETURN, deliveries=ONE, delay_ns=DAY + 1))
refusal('a delay of what is leased, above the longest', 'EINVAL', [str(DAY)], call(c.NACK, deliveries=ONE, delay_ns=2**64 - 1))
refusal('to extend by nothing', 'EINVAL', ['EXTEND'], call(c.EXTEND, deliveries=ONE))
refusal('to extend by more than the longest', 'EINVAL', [str(DAY)], call(c.EXTEND, deliveries=ONE, lease_ns=DAY + 1))
for kind in (c.ACK, c.NACK):
    refusal('leases that never were, %d' % kind, 'EGONE', [], call(kind, deliveries=[dict(first=1, count=2**62)]))
refusal('to extend a lease that never was', 'EGONE', [], call(c.EXTEND, deliveries=ONE, lease_ns=1))


def attributes(*pairs):
    return call(c.MAKE, name='new', type=1, attributes=[dict(name=name, value=value) for name, value in pairs])


refusal('an unknown attribute', 'EINVAL', ['colour', 'producers'], attributes(('colour', b'red')))
for bad in (b'', b'0', b'-1', b'65537', b'9' * 1000, b'1\0', b'\xff', b'AUTO'):
    refusal('producers %r' % bad[:10], 'EINVAL', ['producers', '65536'], attributes(('producers', bad)))
refusal('an attribute twice', 'EINVAL', ['twice'], attributes(('producers', b'1'), ('producers', b'1')))
refusal('a thousand attributes', 'EINVAL', ['twice'], attributes(*[('producers', b'1')] * 1000))
refusal('attempts without dead letters', 'EINVAL', ['together'], attributes(('attempts_max', b'3')))
refusal('dead letters to no name', 'EINVAL', ['dead_letter'], attributes(('attempts_max', b'3'), ('dead_letter', b'a b')))
refusal('dead letters to itself', 'EINVAL', ['own'], attributes(('attempts_max', b'3'), ('dead_letter', b'new')))
refusal('a message type', 'ENOTSUP', ['pkg.Message'], call(c.MAKE, name='new', type=1, type_name='pkg.Message'))
refusal('an envelope', 'ENOTSUP', ['envelope'], call(c.SEND, b'\1\0\0\0\x0c\0\2\x08\1........', count=1))
refusal('deliveries that never were', 'EGONE', [], call(c.TAKEN, deliveries=[dict(first=1000, count=2**40)]))
refusal('a chan value of another incarnation', 'ESTALE', [], lambda client, channel: client.make(
    '', 'chan', 1).send(channel.reference()._replace(incarnation=12345)))
refusal('a chan value of an end that is not held', 'EWRONGEND', [], lambda client, channel: client.make(
    '', 'chan', 1).send(witness.reference()))
refusal('to release what is not held', 'EWRONGEND', [], lambda client, channel: client.call(c.RELEASE, dict(channel=witness.id)))


# ---- bounds on what grows --------------------------------------------------------------------


@test('channels are bounded')
def _():
    with daemon.client() as client:
        made = 0
        try:
            while made <= CHANNELS_MAX:
                client.make('many/%d' % made, 'int', direction=0)
                made += 1
        except ChandError as error:
            assert error.status == 'ELIMIT' and str(CHANNELS_MAX) in error.message, error
        assert 0 < made < CHANNELS_MAX + 1
        for n in range(made):
            client.remove('many/%d' % n)
    undisturbed()


@test('ends of a session are bounded')
def _():
    with daemon.client() as client:
        try:
            for n in range(ENDS_MAX + 1):
                client.make('', 'int')
            raise AssertionError('not bounded')
        except ChandError as error:
            assert error.status == 'ELIMIT' and str(ENDS_MAX) in error.message, error
    undisturbed()


@test('operations in flight are bounded')
def _():
    with daemon.client() as client:
        channel = client.make('', 'int')
        receives = [client.start(c.RECV, dict(channel=channel.id)) for _ in range(OPS_MAX + 1)]
        kind, message, _ = client.next_answer(receives[-1])
        assert kind == c.FAIL and c.STATUS[message['status']] == 'ELIMIT' and str(OPS_MAX) in message['message'], message
        assert client.stat('witness')['length'] == 1
    undisturbed()


@test('bytes of waiting sends are bounded, of a session and of all')
def _():
    value, waiting = bytes(100000), []
    with daemon.client() as client:
        channel = client.make('', 'bytes')
        sends = [channel.start_send([value])[0] for _ in range(4)]
        kind, message, _ = client.next_answer(sends[-1])
        assert kind == c.FAIL and c.STATUS[message['status']] == 'ELIMIT' and '307200' in message['message'], message
    clients = [daemon.client() for _ in range(6)]
    failed = 0
    for client in clients:
        channel = client.make('', 'bytes', 10)
        try:
            for _ in range(3):
                channel.send(value)
        except ChandError as error:
            assert error.status == 'ELIMIT' and '1048576' in error.message, error
            failed += 1
    assert failed
    for client in clients:
        client.hang_up()
    wait_for(lambda: len(list(bystander.list())) == 1, 'the channels to go')
    undisturbed()


@test('connections are bounded')
def _():
    clients = []
    try:
        for _ in range(CONNECTIONS_MAX + 1):
            clients.append(daemon.client())
        raise AssertionError('not bounded')
    except ChandError as error:
        assert error.status == 'ELIMIT' and str(CONNECTIONS_MAX) in error.message, error
    for client in clients:
        client.hang_up()
    undisturbed()


@test('a client that does not read its answers is cut off, and costs no one else')
def _():
    raw = Raw(HELLO)
    data = b''.join(frame(c.LIST, dict(seq=n)) for n in range(1, 20001))
    raw.stream.settimeout(2)
    try:
        raw.stream.sendall(data)
    except OSError:
        pass
    undisturbed()
    raw.stream.close()


@test('after all of that nothing is left behind')
def _():
    wait_for(lambda: [s['name'] for s in bystander.list()] == ['witness'], 'the channels to go')
    assert witness.recv() == (1, True)
    assert list(bystander.ps()) == []
    bystander.hang_up()
    assert daemon.end() == 0


if __name__ == '__main__':
    run()
