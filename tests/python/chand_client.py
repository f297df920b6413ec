"""A client of chand in plain Python, written from proto/PROTOCOL.md alone.

    with Client('unix:/run/chand/chand.sock') as c:
        jobs = c.make('jobs', 'int', capacity=10)
        jobs.send(42)
        value, ok = jobs.recv()
        for value in jobs.range():
            ...

A thread reads the connection and hands every answer to whoever waits for its number, so any
number of threads may use one Client. Needs nothing but the standard library.
"""
import collections
import os
import queue
import socket
import struct
import sys
import threading
import time

# ---- Protocol Buffers: what chand uses of it -------------------------------------------------


def put_varint(out, n):
    n &= (1 << 64) - 1
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)


def get_varint(data, at):
    n = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtocolError('a varint that does not end')
        byte = data[at]
        at += 1
        n |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return n & (1 << 64) - 1, at


def encode(schema, fields):
    """A dict as the message that the schema {name: (number, kind)} describes."""
    out = bytearray()
    for (number, kind), value in sorted(((schema[name], value) for name, value in fields.items()),
                                        key=lambda field: field[0][0]):
        if value == {}:
            continue
        for item in value if isinstance(kind, list) else [value]:
            encode_field(out, number, kind[0] if isinstance(kind, list) else kind, item)
    return bytes(out)


def encode_field(out, number, kind, value):
    if kind in ('uint', 'int', 'bool'):
        if value:
            put_varint(out, number << 3)
            put_varint(out, int(value))
        return
    if isinstance(kind, dict):
        data = encode(kind, value)
    else:
        data = value.encode() if kind == 'text' else bytes(value)
        if not data:
            return
    put_varint(out, number << 3 | 2)
    put_varint(out, len(data))
    out += data


DEFAULTS = {'uint': 0, 'int': 0, 'bool': False, 'text': '', 'bytes': b''}


def decode(schema, data):
    """The dict of a message, with every field of the schema."""
    fields = {}
    for name, (number, kind) in schema.items():
        fields[name] = [] if isinstance(kind, list) else {} if isinstance(kind, dict) else DEFAULTS[kind]
    names = {number: name for name, (number, kind) in schema.items()}
    at = 0
    while at < len(data):
        tag, at = get_varint(data, at)
        value, at = decode_raw(data, at, tag & 7)
        name = names.get(tag >> 3)
        if name is None:
            continue
        kind = schema[name][1]
        value = decode_value(kind[0] if isinstance(kind, list) else kind, tag & 7, value)
        if isinstance(kind, list):
            fields[name].append(value)
        else:
            fields[name] = value
    return fields


def decode_raw(data, at, wire_type):
    if wire_type == 0:
        return get_varint(data, at)
    if wire_type == 2:
        length, at = get_varint(data, at)
    elif wire_type in (1, 5):
        length = 8 if wire_type == 1 else 4
    else:
        raise ProtocolError('wire type %d' % wire_type)
    if at + length > len(data):
        raise ProtocolError('a field longer than its message')
    return data[at:at + length], at + length


def decode_value(kind, wire_type, value):
    if (kind in ('uint', 'int', 'bool')) != (wire_type == 0):
        raise ProtocolError('a field of another wire type')
    if kind == 'int':
        return value - (1 << 64) if value >> 63 else value
    if kind == 'bool':
        return value != 0
    if kind == 'text':
        return value.decode()
    return decode(kind, value) if isinstance(kind, dict) else value


# ---- messages --------------------------------------------------------------------------------


def fields(text):
    """'1 seq uint, 2 name text' as a schema."""
    rows = (row.split() for row in text.split(',') if row.strip())
    return {name: (int(number), kind) for number, name, kind in rows}


SPEAKER = fields('1 host text, 2 pid uint, 3 program text, 4 group text, 5 library text')
LIMITS = fields('1 frame_header_bytes uint, 2 frame_payload_bytes uint, 3 value_bytes uint, 4 capacity uint,'
                '5 select_cases uint, 6 credit uint, 7 batch_values uint, 8 ops_in_flight uint,'
                '9 bytes_in_flight uint, 10 unseen_bytes uint, 11 lease_ns uint')
CREDENTIALS = fields('1 mechanism text, 2 token bytes')
ATTRIBUTE = fields('1 name text, 2 value bytes')
RANGE = fields('1 first uint, 2 count uint')
CASE = fields('1 channel uint, 2 direction uint, 3 epoch uint, 4 type uint, 5 lease_ns uint')
CHANNEL_STAT = dict(fields(
    '1 name text, 2 channel uint, 3 type uint, 4 capacity int, 5 length uint, 6 closed bool,'
    '7 temporary bool, 8 senders_waiting uint, 9 receivers_waiting uint, 10 in_flight uint, 11 sent uint,'
    '12 received uint, 13 redelivered uint, 14 bytes_buffered uint, 15 ends_open uint,'
    '16 made_unix_ns int, 17 closed_by text, 18 closed_unix_ns int, 19 reason text, 20 epoch uint,'
    '21 leased uint, 22 aborted bool, 23 producers uint, 25 delayed uint, 26 dead_lettered uint,'
    '27 dead_letter_failures uint, 28 dead_letter_problem text'), attributes=(24, [ATTRIBUTE]))
WAITER = dict(fields('1 id uint, 3 participant uint, 4 operation text, 6 waiting_ns uint, 7 remaining_ns uint'),
              speaker=(2, SPEAKER), channels=(5, ['text']))
ENVELOPE = dict(fields('1 attempt uint, 3 trace_id bytes, 4 unix_ns int, 5 token uint'), headers=(2, [ATTRIBUTE]))

HELLO, BYE, PING, PONG, SEEN, RING_ASK, RING_BEGIN, RING_DECLINE = range(1, 9)
MAKE, OPEN, RELEASE, SEND, PIECE, RECV, GRANT, TAKEN, RETURN, SELECT = range(10, 20)
CANCEL, CLOSE, REMOVE, STAT, LIST, PS, ACK, NACK, EXTEND = range(20, 29)
WELCOME, OPENED, DONE, FAIL, DELIVER, GONE, STATS, WAITERS, GOAWAY, RING_OFFER = range(40, 50)

MESSAGES = {
    HELLO: dict(fields('1 version_min uint, 2 version_max uint, 3 features uint, 6 linger_ms uint,'
                       '7 session_id bytes, 8 session_secret bytes, 9 connection_epoch uint,'
                       '10 incarnation uint, 11 frames_received uint'),
                speaker=(4, SPEAKER), credentials=(5, CREDENTIALS)),
    BYE: {},
    PING: fields('1 nonce uint, 2 frames_received uint'),
    PONG: fields('1 nonce uint, 2 frames_received uint'),
    SEEN: fields('1 frames_received uint'),
    RING_ASK: {},
    RING_BEGIN: {},
    RING_DECLINE: fields('1 message text'),
    MAKE: dict(fields('1 seq uint, 2 name text, 3 type uint, 4 type_name text, 5 capacity int,'
                      '6 temporary bool, 7 direction uint, 9 participant uint'),
               attributes=(8, [ATTRIBUTE])),
    OPEN: fields('1 seq uint, 2 name text, 3 channel uint, 4 incarnation uint, 5 direction uint,'
                 '6 wait_create bool, 7 timeout_ns uint, 8 participant uint'),
    RELEASE: fields('1 seq uint, 2 channel uint'),
    SEND: fields('1 seq uint, 2 channel uint, 3 count uint, 4 payload_bytes uint, 5 try bool,'
                 '6 timeout_ns uint, 7 participant uint, 8 epoch uint, 9 type uint, 10 ride bool'),
    PIECE: fields('1 id uint'),
    RECV: fields('1 seq uint, 2 channel uint, 3 credit uint, 4 stream bool, 5 try bool, 6 timeout_ns uint,'
                 '7 participant uint, 8 epoch uint, 9 lease_ns uint'),
    GRANT: fields('1 seq uint, 2 credit uint'),
    TAKEN: dict(fields('1 seq uint'), deliveries=(2, [RANGE])),
    RETURN: dict(fields('1 seq uint, 3 delay_ns uint'), deliveries=(2, [RANGE])),
    SELECT: dict(fields('1 seq uint, 3 payload_bytes uint, 4 try bool, 5 timeout_ns uint, 6 participant uint'),
                 cases=(2, [CASE])),
    CANCEL: fields('1 seq uint, 2 target uint'),
    CLOSE: fields('1 seq uint, 2 channel uint, 3 reason text, 4 abort bool, 5 participant uint, 6 epoch uint'),
    REMOVE: fields('1 seq uint, 2 name text, 3 channel uint'),
    STAT: fields('1 seq uint, 2 name text, 3 channel uint'),
    LIST: fields('1 seq uint, 2 prefix text, 3 after text, 4 count_max uint'),
    PS: fields('1 seq uint, 2 after uint, 3 count_max uint'),
    ACK: dict(fields('1 seq uint'), deliveries=(2, [RANGE])),
    NACK: dict(fields('1 seq uint, 3 delay_ns uint'), deliveries=(2, [RANGE])),
    EXTEND: dict(fields('1 seq uint, 3 lease_ns uint'), deliveries=(2, [RANGE])),
    WELCOME: dict(fields('1 version uint, 2 features uint, 3 broker text, 4 incarnation uint,'
                         '5 session_id bytes, 6 session_secret bytes, 7 connection_epoch uint,'
                         '8 resumed bool, 9 frames_received uint, 10 linger_ms uint, 11 heartbeat_ms uint'),
                  limits=(12, LIMITS)),
    OPENED: fields('1 seq uint, 2 channel uint, 3 name text, 4 type uint, 5 capacity int,'
                   '6 direction uint, 7 created bool, 8 epoch uint'),
    DONE: fields('1 seq uint, 2 count uint, 3 case_index uint'),
    FAIL: fields('1 seq uint, 2 count uint, 3 status uint, 4 message text, 5 case_index uint,'
                 '6 closed_by text, 7 closed_unix_ns int, 8 reason text, 9 redirect_url text'),
    DELIVER: fields('1 seq uint, 2 delivery uint, 3 channel uint, 4 count uint, 5 payload_bytes uint,'
                    '6 case_index uint'),
    GONE: {'deliveries': (1, [RANGE])},
    STATS: dict(fields('1 seq uint, 3 more bool, 4 after text'), channels=(2, [CHANNEL_STAT])),
    WAITERS: dict(fields('1 seq uint, 3 more bool, 4 after uint'), waiters=(2, [WAITER])),
    GOAWAY: fields('1 status uint, 2 message text, 3 redirect_url text'),
    RING_OFFER: fields('1 ring_bytes uint, 2 larger_ring_bytes uint'),
}

# ---- errors ----------------------------------------------------------------------------------

STATUS = dict(enumerate(
    'OK ECLOSED EWOULDBLOCK ETIMEDOUT ECANCELED ENOCHANNEL EEXIST ESTALE EREMOVED EABORTED EGONE ETYPE '
    'ETOOLARGE EINVAL EWRONGEND EPERM ELIMIT ENOTSUP EPROTOCOL ESHUTDOWN ERESTARTED EUNKNOWN EREDIRECT '
    'EUNREACHABLE ENOMEM EAUTH EDEADLOCK'.split()))
NUMBER = {name: number for number, name in STATUS.items()}


class ChandError(Exception):
    """An operation that failed: status ('ECLOSED', ...), message, and the fields of the FAIL."""

    def __init__(self, status, message='', fields=None):
        self.status = STATUS.get(status, str(status)) if isinstance(status, int) else status
        self.message = message
        self.fields = fields or {}
        super().__init__('%s: %s' % (self.status, message))


class ProtocolError(ChandError):
    def __init__(self, message):
        super().__init__('EPROTOCOL', message)


# ---- frames ----------------------------------------------------------------------------------

MORE = 1
PREFIX = struct.Struct('>IBBH')


def frame(kind, message, payload=b'', flags=0):
    header = encode(MESSAGES[kind], message)
    return PREFIX.pack(4 + len(header) + len(payload), kind, flags, len(header)) + header + payload


def parse_frame(data):
    """(kind, flags, message, payload, rest), or None while it is not whole."""
    if len(data) < PREFIX.size:
        return None
    length, kind, flags, header_bytes = PREFIX.unpack_from(data)
    if length < 4 + header_bytes:
        raise ProtocolError('a header longer than its frame')
    if len(data) < 4 + length:
        return None
    header = data[8:8 + header_bytes]
    message = decode(MESSAGES[kind], header) if kind in MESSAGES else {}
    return kind, flags, message, data[8 + header_bytes:4 + length], data[4 + length:]


# ---- values ----------------------------------------------------------------------------------

TYPES = {name: number for number, name in enumerate('int float bool string bytes any signal chan'.split(), 1)}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
TO_SEND, TO_RECV, BOTH = 1, 2, 3


class Reference(collections.namedtuple('Reference', 'incarnation channel direction name')):
    """What a value of type chan says."""


class Typed(collections.namedtuple('Typed', 'type value')):
    """A value of type any together with its type, where Python's own does not say it."""


def type_of(value):
    """The type that a Python value has in a channel of any."""
    for kind, name in ((bool, 'bool'), (int, 'int'), (float, 'float'), (str, 'string'), (bytes, 'bytes'),
                       (type(None), 'signal'), (Reference, 'chan'), (Channel, 'chan')):
        if isinstance(value, kind):
            return name
    raise ChandError('ETYPE', 'no type for %r' % (value,))


def pack(type_name, value):
    """A value's bytes."""
    try:
        if type_name == 'any':
            inner = value if isinstance(value, Typed) else Typed(type_of(value), value)
            return bytes([TYPES[inner.type]]) + pack(inner.type, inner.value)
        if type_name == 'chan':
            r = value.reference() if isinstance(value, Channel) else value
            return struct.pack('>QQB', r.incarnation, r.channel, r.direction) + r.name.encode()
        return {'int': lambda: struct.pack('>q', value),
                'float': lambda: struct.pack('>d', value),
                'bool': lambda: struct.pack('>?', value),
                'string': lambda: value if isinstance(value, bytes) else value.encode(),
                'bytes': lambda: bytes(memoryview(value)),
                'signal': lambda: b''}[type_name]()
    except (struct.error, AttributeError, TypeError) as error:
        raise ChandError('ETYPE', 'the value %r does not fit type %s' % (value, type_name)) from error


def unpack(type_name, data):
    if type_name == 'any':
        inner = TYPE_NAMES[data[0]]
        return unpack(inner, data[1:])
    if type_name == 'chan':
        return Reference(*struct.unpack('>QQB', data[:17]), data[17:].decode())
    return {'int': lambda: struct.unpack('>q', data)[0],
            'float': lambda: struct.unpack('>d', data)[0],
            'bool': lambda: data != b'\0',
            'string': lambda: data.decode(),
            'bytes': lambda: data,
            'signal': lambda: None}[type_name]()


def put_values(values):
    """A payload of values that are bytes already."""
    return b''.join(struct.pack('>BI', 0, len(value)) + value for value in values)


def get_values(payload):
    """The (bytes, attempt, token) of a payload."""
    at = 0
    while at < len(payload):
        flags, length = struct.unpack_from('>BI', payload, at)
        data = payload[at + 5:at + 5 + length]
        at += 5 + length
        attempt, token = 1, 0
        if flags & 1:
            (size,) = struct.unpack_from('>H', data)
            envelope = decode(ENVELOPE, data[2:2 + size])
            attempt, token = envelope['attempt'] or 1, envelope['token']
            data = data[2 + size:]
        yield data, attempt, token


# ---- the client ------------------------------------------------------------------------------


def default_url():
    if os.environ.get('CHAN_URL'):
        return os.environ['CHAN_URL']
    directory = os.environ.get('XDG_RUNTIME_DIR')
    return 'unix:' + (directory + '/chand.sock' if directory else '/run/chand/chand.sock')


def connect(url):
    try:
        if url.startswith('unix:'):
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(url[5:])
            return stream
        if url.startswith('tcp://'):
            host, _, port = url[6:].rpartition(':')
            stream = socket.create_connection((host.strip('[]'), int(port)))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return stream
    except (OSError, ValueError) as error:
        raise ChandError('EUNREACHABLE', '%s: %s' % (url, error)) from error
    raise ChandError('EINVAL', '%s: an URL is unix:PATH or tcp://host:port' % url)


def nanoseconds(seconds):
    return 0 if seconds is None else max(1, int(seconds * 1e9))


UNCOUNTED = {HELLO, WELCOME, PING, PONG, SEEN, GOAWAY}  # frames without a number


def parse_frames(data):
    """The whole frames at the head of data, and what is left behind them."""
    frames = []
    while (parsed := parse_frame(data)):
        frames.append(parsed[:4])
        data = parsed[4]
    return frames, data


class Kept:
    """Frames that were said, until the broker says that it has them."""

    def __init__(self):
        self.frames = collections.deque()
        self.seen = 0  # so many came before the first of them

    def add(self, data):
        if data[4] not in UNCOUNTED:
            self.frames.append(data)

    def drop(self, seen):
        while self.seen < seen:
            self.frames.popleft()
            self.seen += 1


SILENCE = 1.6  # heartbeats; after so long without an answer to a PING nothing is handed to the program


class Client:
    """With linger (seconds) a connection that is lost is made again, and the session resumed."""

    def __init__(self, url=None, program=None, linger=0):
        self.url = url or default_url()
        self.stream = connect(self.url)
        self.linger = linger
        self.kept = Kept()
        self.received = self.told = self.epoch = 0  # frames from the broker; of those by our last SEEN
        self.write_lock = threading.Lock()  # guards stream and kept
        self.lock = threading.Lock()  # guards what follows
        self.seq = 0
        self.answers = {}  # seq: queue of what came for it
        self.gone = set()  # deliveries that were taken back
        self.pinged_at = None  # since when a PING has no answer
        self.pongs = queue.Queue()
        self.lost = None  # the ChandError that ended the connection
        self.welcomed = threading.Event()
        self.write(frame(HELLO, dict(
            version_min=1, version_max=1, linger_ms=int(linger * 1000),
            speaker=dict(host=socket.gethostname(), pid=os.getpid(), library='chand_client.py',
                         program=program or os.path.basename(sys.argv[0] or 'python')))))
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.welcomed.wait()
        if self.lost:
            raise self.lost
        self.heartbeat_s = (self.welcome['heartbeat_ms'] or 5000) / 1000

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.hang_up()

    def hang_up(self):
        """Ends the session in order."""
        self.linger = 0
        try:
            self.write(frame(BYE, {}))
        except ChandError:
            pass
        self.reader.join(5)
        self.stream.close()

    # -- the connection

    def write(self, data):
        try:
            with self.write_lock:
                self.put(data)
        except OSError as error:
            raise self.lost or ChandError('EUNKNOWN', str(error)) from error

    def put(self, data):
        """Writes a frame, and keeps it if it may have to be said again: then a loss is not told."""
        try:
            if self.linger:
                self.kept.add(data)
            self.stream.sendall(data)
        except OSError:
            if not self.linger:
                raise

    def read(self):
        pieces = {}
        try:
            data = b''
            while True:
                try:
                    part = self.stream.recv(1 << 18)
                except OSError:
                    part = b''
                if not part:
                    data = self.resume()
                frames, data = parse_frames(data + part)
                for parsed in frames:
                    self.handle(pieces, *parsed)
        except (ChandError, OSError, ValueError, struct.error) as error:
            self.lose(error if isinstance(error, ChandError) else ChandError('EUNKNOWN', str(error)))

    def resume(self):
        """Connects again and says what the broker has not; returns what came behind its WELCOME."""
        end = time.monotonic() + self.linger
        while self.linger and self.welcomed.is_set() and time.monotonic() < end:
            try:
                with self.write_lock:
                    return self.resume_once()
            except (OSError, ChandError) as error:
                if getattr(error, 'status', 'EUNREACHABLE') != 'EUNREACHABLE':
                    raise
                time.sleep(0.05)
        raise ChandError('EUNKNOWN', 'the connection was lost')

    def resume_once(self):
        self.stream.close()
        self.stream = connect(self.url)
        self.epoch += 1
        self.stream.sendall(frame(HELLO, dict(
            version_min=1, version_max=1, session_id=self.welcome['session_id'],
            session_secret=self.welcome['session_secret'], incarnation=self.welcome['incarnation'],
            connection_epoch=self.epoch, frames_received=self.received)))
        data = b''
        while not (parsed := parse_frame(data)):
            part = self.stream.recv(1 << 16)
            if not part:
                raise ConnectionError('lost again')
            data += part
        kind, _, message, _, data = parsed
        if kind != WELCOME:
            raise ChandError(message['status'], message['message'])
        self.kept.drop(message['frames_received'])
        for old in self.kept.frames:
            self.stream.sendall(old)
        return data

    def count(self, kind, message, payload):
        """Numbers what came, and says SEEN when a quarter of unseen_bytes has."""
        if self.linger and kind in (PING, PONG, SEEN):
            with self.write_lock:
                self.kept.drop(message['frames_received'])
        if kind in UNCOUNTED or not self.linger:
            return
        self.received += 1
        self.told += 64 + len(payload)  # a header has no more bytes on average
        if self.told > self.welcome['limits']['unseen_bytes'] / 4:
            self.told = 0
            self.write(frame(SEEN, dict(frames_received=self.received)))

    def handle(self, pieces, kind, flags, message, payload):
        self.count(kind, message, payload)
        if kind == PIECE:
            whole = pieces[message['id']]
            whole[1] += payload
            if flags & MORE:
                return
            del pieces[message['id']]
            kind, (message, payload) = DELIVER, whole
        elif kind == DELIVER and flags & MORE:
            pieces[message['delivery']] = [message, bytearray(payload)]
            return
        if kind == WELCOME:
            self.welcome = message
            self.epoch = message['connection_epoch']
            self.welcomed.set()
        elif kind == GOAWAY:
            raise ChandError(message['status'], message['message'])
        elif kind == PING:
            self.write(frame(PONG, dict(nonce=message['nonce'], frames_received=self.received)))
        elif kind == PONG:
            with self.lock:
                self.pinged_at = None
            self.pongs.put(message['nonce'])
        elif kind == GONE:
            for r in message['deliveries']:
                self.gone.update(range(r['first'], r['first'] + r['count']))
        elif 'seq' in message:
            self.answer(kind, message, bytes(payload))

    def answer(self, kind, message, payload):
        """To whoever waits: a DONE or FAIL of many numbers goes to each of them."""
        count = max(1, message.get('count', 1)) if kind in (DONE, FAIL) else 1
        with self.lock:
            for seq in range(message['seq'], message['seq'] + count):
                if seq in self.answers:
                    self.answers[seq].put((kind, message, payload))

    def lose(self, error):
        with self.lock:
            self.lost = error
            waiting = list(self.answers.values())
        for q in waiting:
            q.put((None, error, b''))
        self.pongs.put(None)
        self.welcomed.set()

    # -- operations

    def start(self, kind, message, payload=b'', count=1):
        """Sends an operation; its number. Its answers are then waited for by next_answer."""
        with self.write_lock:  # numbers rise in the order in which they are sent
            with self.lock:
                if self.lost:
                    raise self.lost
                seq = self.seq + 1
                self.seq += count
                for n in range(seq, seq + count):
                    self.answers[n] = queue.Queue()
            try:
                for data in self.frames(kind, dict(message, seq=seq), payload):
                    self.put(data)
            except OSError as error:
                raise ChandError('EUNKNOWN', str(error)) from error
        return seq

    def frames(self, kind, message, payload):
        limit = self.welcome['limits']['frame_payload_bytes']
        if payload:
            message['payload_bytes'] = len(payload)
        yield frame(kind, message, payload[:limit], MORE if len(payload) > limit else 0)
        for at in range(limit, len(payload), limit):
            more = MORE if at + limit < len(payload) else 0
            yield frame(PIECE, dict(id=message['seq']), payload[at:at + limit], more)

    def next_answer(self, seq):
        """Waits for what comes next for the number; sends heartbeats meanwhile."""
        q = self.answers[seq]
        while True:
            try:
                kind, message, payload = q.get(timeout=self.heartbeat_s)
                break
            except queue.Empty:
                self.heartbeat()
        if kind is None:
            raise message
        if kind == DELIVER:
            self.await_heartbeat()
        return kind, message, payload

    def heartbeat(self):
        with self.lock:
            if self.pinged_at is None:
                self.pinged_at = time.monotonic()
        self.write(frame(PING, dict(nonce=0, frames_received=self.received)))

    def await_heartbeat(self):
        """While the broker has been silent for too long, nothing goes to the program."""
        silence_s = SILENCE * self.heartbeat_s
        while not self.lost and self.pinged_at and time.monotonic() - self.pinged_at > silence_s:
            time.sleep(0.05)

    def forget(self, seq, count=1):
        with self.lock:
            for n in range(seq, seq + count):
                self.answers.pop(n, None)

    def finish(self, seq):
        """The one answer of an operation; raises its FAIL. An exception (SIGINT) withdraws it."""
        try:
            kind, message, payload = self.next_answer(seq)
        except KeyboardInterrupt:
            outcome = self.withdraw(seq)
            if outcome is None:
                raise
            kind, message, payload = outcome
        self.forget(seq)
        if kind == FAIL:
            raise ChandError(message['status'], message['message'], message)
        return kind, message, payload

    def withdraw(self, seq):
        """Cancels an operation. Its outcome if it was faster, else None."""
        cancel = self.start(CANCEL, dict(target=seq))
        kind, message, payload = self.next_answer(seq)
        self.next_answer(cancel)
        self.forget(cancel)
        return None if kind == FAIL and message['status'] == NUMBER['ECANCELED'] else (kind, message, payload)

    def call(self, kind, message, payload=b''):
        return self.finish(self.start(kind, message, payload))

    def settle(self, kind, delivery, count=1, answered=False, **times):
        message = dict(deliveries=[dict(first=delivery, count=count)], **times)
        if answered:
            self.call(kind, message)
        else:
            self.write(frame(kind, message))

    def make(self, name='', type='string', capacity=0, temporary=False, direction=BOTH, **attributes):
        """The channel; with direction 0 it is only made, and the answer is whether it is new."""
        attributes = [dict(name=key, value=str(value).encode()) for key, value in attributes.items()]
        _, message, _ = self.call(MAKE, dict(name=name, type=TYPES[type], capacity=capacity, temporary=temporary,
                                             direction=direction, attributes=attributes))
        return Channel(self, message) if direction else message['created']

    def open(self, name, direction=BOTH, wait_create=False, timeout=None):
        return Channel(self, self.call(OPEN, dict(
            name=name, direction=direction, wait_create=wait_create, timeout_ns=nanoseconds(timeout)))[1])

    def open_reference(self, reference):
        """The channel of a chan value; its delivery has opened it already, this counts one more."""
        return Channel(self, self.call(OPEN, dict(
            channel=reference.channel, incarnation=reference.incarnation, direction=reference.direction))[1])

    def release_reference(self, reference):
        self.call(RELEASE, dict(channel=reference.channel))

    def select(self, cases, try_=False, timeout=None):
        """cases: ('recv', channel) or ('send', channel, value). (index, value, ok) of the one that
        happened; value is None for a send; ok is False for a receive from a closed channel."""
        wanted = [dict(channel=case[1].id, direction=TO_SEND if case[0] == 'send' else TO_RECV)
                  for case in cases]
        values = [pack(case[1].type, case[2]) for case in cases if case[0] == 'send']
        try:
            kind, message, payload = self.call(
                SELECT, {'cases': wanted, 'try': try_, 'timeout_ns': nanoseconds(timeout)},
                put_values(values))
        except ChandError as error:
            index = error.fields.get('case_index', 0)
            if error.status == 'ECLOSED' and cases[index][0] == 'recv':
                return index, None, False
            raise
        index = message['case_index']
        if kind == DONE:
            return index, None, True
        delivery, = cases[index][1].each(message, payload)
        return index, delivery.take(), True

    def remove(self, name):
        self.call(REMOVE, dict(name=name))

    def stat(self, name):
        return self.call(STAT, dict(name=name))[1]['channels'][0]

    def list(self, prefix=''):
        after = ''
        while True:
            _, page, _ = self.call(LIST, dict(prefix=prefix, after=after))
            yield from page['channels']
            if not page['more']:
                return
            after = page['after']

    def ps(self):
        after = 0
        while True:
            _, page, _ = self.call(PS, dict(after=after))
            yield from page['waiters']
            if not page['more']:
                return
            after = page['after']

    def ping(self):
        """Seconds to the broker and back."""
        begin = time.monotonic()
        self.write(frame(PING, dict(nonce=1, frames_received=self.received)))
        if self.pongs.get() is None:
            raise self.lost
        return time.monotonic() - begin


class Delivery:
    """A value that is out for delivery: take() it, or give it back(). If it was received under a
    lease, it is to be finished after that by ack() or nack()."""

    def __init__(self, channel, number, data, attempt, token):
        self.client = channel.client
        self.number = number
        self.attempt = attempt
        self.token = token
        self.value = unpack(channel.type, data)

    def take(self, answered=False):
        """Confirms and returns the value."""
        if self.number in self.client.gone:
            raise ChandError('EGONE', 'the broker took the delivery back')
        self.client.settle(TAKEN, self.number, answered=answered)
        return self.value

    def back(self, answered=False, delay=None):
        self.client.settle(RETURN, self.number, answered=answered, delay_ns=nanoseconds(delay))

    def ack(self):
        self.client.settle(ACK, self.number, answered=True)

    def nack(self, delay=None):
        self.client.settle(NACK, self.number, answered=True, delay_ns=nanoseconds(delay))

    def extend(self, lease):
        self.client.settle(EXTEND, self.number, answered=True, lease_ns=nanoseconds(lease))


class Channel:
    def __init__(self, client, opened):
        self.client = client
        self.id = opened['channel']
        self.name = opened['name']
        self.type = TYPE_NAMES[opened['type']]
        self.capacity = opened['capacity']
        self.direction = opened['direction']
        self.created = opened['created']

    def reference(self, direction=None):
        return Reference(self.client.welcome['incarnation'], self.id, direction or self.direction, self.name)

    def start_send(self, values, try_=False, timeout=None):
        """Starts the sends of one frame; (first number, count)."""
        payload = put_values([pack(self.type, value) for value in values])
        seq = self.client.start(SEND, {
            'channel': self.id, 'count': len(values), 'try': try_, 'timeout_ns': nanoseconds(timeout),
            'type': TYPES[self.type]}, payload, len(values))
        return seq, len(values)

    def send(self, value, try_=False, timeout=None):
        self.client.finish(self.start_send([value], try_, timeout)[0])

    def send_many(self, values, window=1024):
        """Sends each; how many were done. An error carries that number in its fields, as 'sent'."""
        return self.send_batches(self.batches(values), window)

    def send_batches(self, batches, window=1024):
        """The same for lists of values, each small enough for a frame."""
        started, sent = collections.deque(), 0
        if self.capacity == 0:  # what is in two frames may be taken in any order
            window = 0
        try:
            for part in batches:
                seq, count = self.start_send(part)
                started.extend(range(seq, seq + count))
                while len(started) > window:
                    self.finish_first(started)
                    sent += 1
            while started:
                self.finish_first(started)
                sent += 1
        except ChandError as error:
            error.fields = dict(error.fields, sent=sent)
            raise
        return sent

    def finish_first(self, started):
        self.client.finish(started[0])
        started.popleft()

    @staticmethod
    def batches(values, count=64, size=16384):
        """Lists of at most so many values, that go into a frame; a large one is alone."""
        part, left = [], size
        for value in values:
            length = 16 if not isinstance(value, (str, bytes)) else 8 + 4 * len(value)
            if part and (length > left or len(part) == count):
                yield part
                part, left = [], size
            part.append(value)
            left -= length
        if part:
            yield part

    def receive(self, try_=False, timeout=None, lease=None):
        """A Delivery, to be settled by the caller; None when closed and drained."""
        try:
            _, message, payload = self.client.call(RECV, {
                'channel': self.id, 'try': try_, 'timeout_ns': nanoseconds(timeout),
                'lease_ns': nanoseconds(lease)})
        except ChandError as error:
            if error.status == 'ECLOSED':
                return None
            raise
        delivery, = self.each(message, payload)
        return delivery

    def recv(self, try_=False, timeout=None):
        """(value, True), or (None, False) when closed and drained."""
        delivery = self.receive(try_, timeout)
        return (delivery.take(), True) if delivery else (None, False)

    def each(self, message, payload):
        """The deliveries of one DELIVER."""
        for number, (data, attempt, token) in enumerate(get_values(payload), message['delivery']):
            yield Delivery(self, number, data, attempt, token)

    def deliveries(self, credit=1):
        """Deliveries until the channel is closed and drained; the caller settles each."""
        credit = min(credit, self.client.welcome['limits']['credit']) if self.capacity else 1
        seq = self.client.start(RECV, dict(channel=self.id, credit=credit, stream=True))
        ended, rest = False, iter(())
        try:
            while True:
                kind, message, payload = self.client.next_answer(seq)
                if kind == FAIL:
                    ended = True
                    if message['status'] == NUMBER['ECLOSED']:
                        return
                    raise ChandError(message['status'], message['message'], message)
                rest = self.each(message, payload)
                for delivery in rest:
                    yield delivery
                    self.client.write(frame(GRANT, dict(seq=seq, credit=1)))
        finally:
            if not ended:
                for delivery in rest:
                    delivery.back()
                self.end_stream(seq)
            self.client.forget(seq)

    def end_stream(self, seq):
        """Withdraws a standing receive; what came meanwhile goes back."""
        if self.client.lost:
            return
        cancel = self.client.start(CANCEL, dict(target=seq))
        while True:
            kind, message, payload = self.client.next_answer(seq)
            if kind == FAIL:
                break
            count = len(list(get_values(payload)))
            self.client.settle(RETURN, message['delivery'], count, answered=True)
        self.client.next_answer(cancel)
        self.client.forget(cancel)

    def range(self, credit=1):
        """Values until the channel is closed and drained."""
        for delivery in self.deliveries(credit):
            yield delivery.take()

    def close(self, reason='', abort=False):
        self.client.call(CLOSE, dict(channel=self.id, reason=reason, abort=abort))

    def release(self):
        self.client.call(RELEASE, dict(channel=self.id))

    def __len__(self):
        _, message, _ = self.client.call(STAT, dict(channel=self.id))
        return message['channels'][0]['length']

    def __bool__(self):
        return True
