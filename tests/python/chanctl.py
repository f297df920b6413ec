"""A small chanctl in plain Python: the shell lessons, spoken by another client.

Usage: chanctl.py [--url URL] COMMAND ...        see COMMANDS below; README.md tells what they do
"""
import argparse
import json
import os
import re
import signal
import sys
import time

from chand_client import TO_RECV, TO_SEND, TYPES, ChandError, Client, Reference, Typed

EXIT = {'ECLOSED': 3, 'EWOULDBLOCK': 2, 'EDEADLOCK': 4, 'EABORTED': 5, 'EREMOVED': 5, 'EUNKNOWN': 6, 'ERESTARTED': 6,
        'EGONE': 6, 'EINVAL': 64, 'ETYPE': 65, 'ETOOLARGE': 65, 'ENOCHANNEL': 66, 'ESTALE': 66, 'EEXIST': 66,
        'EUNREACHABLE': 69, 'ESHUTDOWN': 69, 'ELIMIT': 69, 'ENOMEM': 69, 'EREDIRECT': 69, 'ENOTSUP': 69,
        'EPROTOCOL': 76, 'EPERM': 77, 'EWRONGEND': 77, 'EAUTH': 77, 'ETIMEDOUT': 124, 'ECANCELED': 130}
USAGE, WRONG_VALUE, IO_ERROR = 64, 65, 74


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        fail(USAGE, message)


def fail(status, message):
    print('chanctl.py: ' + message, file=sys.stderr)
    sys.exit(status)


def duration(text):
    match = re.fullmatch(r'([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)', text)
    if not match:
        raise argparse.ArgumentTypeError('%r is no duration like 500ms, 2s, 1m' % text)
    unit = {'ns': 1e-9, 'us': 1e-6, 'ms': 1e-3, 's': 1, 'm': 60, 'h': 3600}[match[2]]
    return float(match[1]) * unit


# ---- values as text --------------------------------------------------------------------------


def parse_value(client, type_name, data, as_type):
    """Bytes from the command line or stdin as a value of the type."""
    try:
        if type_name == 'any':
            return Typed(as_type, parse_value(client, as_type, data, None))
        if type_name == 'int':
            if not re.fullmatch(rb'[+-]?[0-9]+', data):
                raise ValueError
            return int(data)
        if type_name == 'float':
            return float(data)
        if type_name == 'bool':
            return {b'true': True, b'false': False}[data]
        if type_name == 'string':
            return data.decode()
        if type_name == 'signal' and data:
            raise ValueError
        if type_name == 'chan':
            return client.open(data.decode())
        return data if type_name == 'bytes' else None
    except (ValueError, KeyError, OverflowError):
        fail(WRONG_VALUE, 'the value %r does not fit type %s' % (data.decode(errors='replace'), type_name))


def text_of(value):
    if value is None:
        return b''
    if isinstance(value, bool):
        return b'true' if value else b'false'
    if isinstance(value, float):
        return re.sub(r'\.0$', '', repr(value)).encode()
    if isinstance(value, Reference):
        return (value.name or 'chan:%d/%d/%d' % value[:3]).encode()
    return value if isinstance(value, bytes) else str(value).encode()


def write_out(data):
    try:
        while data:
            data = data[os.write(1, data):]
    except OSError as error:
        raise IOError('cannot write: %s' % error.strerror) from error


def print_delivery(delivery, options):
    """Confirms after the output is written; gives back what could not be."""
    try:
        write_out(text_of(delivery.value) + (b'' if options.raw else b'\0' if options.null else b'\n'))
    except IOError as error:
        delivery.back(answered=True)
        fail(IO_ERROR, str(error))
    delivery.take()


# ---- commands --------------------------------------------------------------------------------


def open_channel(client, name, direction, options):
    if options.create:
        return client.make(name, options.type, options.cap, direction=direction)
    return client.open(name, direction, options.wait_create, options.timeout)


def run_make(client, options, args):
    client.make(args[0], options.type, options.cap, options.temporary, direction=0)


def at_hand(separator):
    """Lists of what stdin has now, cut at the separator."""
    rest = b''
    while True:
        data = os.read(0, 16384)
        if not data:
            break
        *whole, rest = (rest + data).split(separator)
        if whole:
            yield whole
    if rest:
        yield [rest]


def run_send(client, options, args):
    channel = open_channel(client, args[0], TO_SEND, options)
    if options.lines or options.null:
        batches = at_hand(b'\0' if options.null else b'\n')
    elif options.stdin:
        batches = [[sys.stdin.buffer.read()]]
    else:
        values = args[1:] or [''] * (channel.type == 'signal')
        if not values and not options.close:
            fail(USAGE, 'send: no value')
        batches = [[os.fsencode(value) for value in values]]
    parsed = ([parse_value(client, channel.type, data, options.as_type) for data in part] for part in batches)
    if options.try_ or options.timeout:
        for part in parsed:
            for value in part:
                channel.send(value, options.try_, options.timeout)
    else:
        channel.send_batches(small for part in parsed for small in channel.batches(part))
    if options.close:
        channel.close()


def run_recv(client, options, args):
    channel = open_channel(client, args[0], TO_RECV, options)
    for _ in range(options.n):
        delivery = channel.receive(options.try_, options.timeout)
        if not delivery:
            sys.exit(1)
        print_delivery(delivery, options)


def run_range(client, options, args):
    channel = open_channel(client, args[0], TO_RECV, options)
    one_by_one = iter(lambda: channel.receive(timeout=options.timeout), None)
    for delivery in one_by_one if options.timeout else channel.deliveries(credit=64):
        print_delivery(delivery, options)


def run_close(client, options, args):
    client.open(args[0], TO_SEND).close(options.reason)


def run_select(client, options, args):
    cases = []
    for text in args:
        match = re.fullmatch('(?:(recv):(.+)|(send):([^=]+)=(.*))', text, re.DOTALL)
        if not match:
            fail(USAGE, '%r is no case: recv:NAME or send:NAME=VALUE' % text)
        if match[1]:
            cases.append(('recv', client.open(match[2], TO_RECV)))
        else:
            channel = client.open(match[4], TO_SEND)
            cases.append(('send', channel, parse_value(client, channel.type, os.fsencode(match[5]), options.as_type)))
    index, value, ok = client.select(cases, options.try_, options.timeout)
    kind, name = cases[index][0], cases[index][1].name.encode()
    if not ok:
        write_out(b'closed %s\n' % name)
        sys.exit(1)
    write_out(b'send %s\n' % name if kind == 'send' else b'recv %s %s\n' % (name, text_of(value)))


def compact(fields):
    return json.dumps(fields, separators=(',', ':'))


def stat_of(s):
    names = {number: name for name, number in TYPES.items()}
    return dict(s, type=names.get(s['type'], '?'), cap=s['capacity'], len=s['length'], id=s['channel'])


def run_stat(client, options, args):
    stat = stat_of(client.stat(args[0]))
    if options.json:
        write_out(compact(stat).encode() + b'\n')
    else:
        write_out(''.join('%-18s %s\n' % row for row in stat.items()).encode())


def run_ls(client, options, args):
    for s in client.list(args[0] if args else ''):
        write_out((compact(stat_of(s)) if options.json else s['name']).encode() + b'\n')


def run_rm(client, options, args):
    client.remove(args[0])


def run_ps(client, options, args):
    for w in client.ps():
        write_out(compact(w).encode() + b'\n' if options.json else ('%d %s %s\n' % (
            w['speaker'].get('pid', 0), w['operation'], ' '.join(w['channels']))).encode())


def run_ping(client, options, args):
    write_out(b'%.0f us\n' % (client.ping() * 1e6))


# command: what runs it, the least and the most names and values
COMMANDS = {'make': (run_make, 1, 1), 'send': (run_send, 1, None), 'recv': (run_recv, 1, 1),
            'range': (run_range, 1, 1), 'close': (run_close, 1, 1), 'select': (run_select, 1, None),
            'stat': (run_stat, 1, 1), 'ls': (run_ls, 0, 1), 'rm': (run_rm, 1, 1), 'ps': (run_ps, 0, 0),
            'ping': (run_ping, 0, 0)}


def make_parser():
    parser = Parser(add_help=False, usage='chanctl.py [--url URL] COMMAND ...', allow_abbrev=False)
    parser.add_argument('--url')
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--type', choices=TYPES, default='string')
    parser.add_argument('--cap', type=int, default=0)
    parser.add_argument('--temporary', action='store_true')
    parser.add_argument('--create', action='store_true')
    parser.add_argument('--wait-create', action='store_true')
    parser.add_argument('--lines', action='store_true')
    parser.add_argument('-0', '--null', action='store_true')
    parser.add_argument('--raw', action='store_true')
    parser.add_argument('--close', action='store_true')
    parser.add_argument('--reason', default='')
    parser.add_argument('--as', dest='as_type', choices=TYPES, default='string')
    parser.add_argument('--try', dest='try_', action='store_true')
    parser.add_argument('--timeout', type=duration)
    parser.add_argument('-n', type=int, default=1)
    parser.add_argument('args', nargs='*')
    return parser


def main(argv):
    literal = argv[argv.index('--') + 1:] if '--' in argv else []
    argv = argv[:argv.index('--')] if '--' in argv else argv
    options = make_parser().parse_intermixed_args(argv)
    if not options.args or options.args[0] not in COMMANDS:
        fail(USAGE, 'the commands are ' + ' '.join(COMMANDS))
    run, least, most = COMMANDS[options.args[0]]
    options.stdin = options.args[0] == 'send' and options.args[2:] == ['-']
    args = options.args[1:] + literal
    if len(args) < least or (most is not None and len(args) > most):
        fail(USAGE, '%s: wrong number of arguments' % options.args[0])
    with reach(options.url, options.timeout if run is run_ping else None) as client:
        run(client, options, args)


def reach(url, patience):
    """A client; a ping with a timeout waits for the daemon to come."""
    end = time.monotonic() + (patience or 0)
    while True:
        try:
            return Client(url, 'chanctl.py')
        except ChandError as error:
            if error.status != 'EUNREACHABLE' or time.monotonic() > end:
                raise
        time.sleep(0.01)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except ChandError as error:
        sent = error.fields.get('sent')
        fail(EXIT.get(error.status, 76), str(error) + (
            '' if sent is None else '; %d values were confirmed, the first that was not is number %d' % (sent, sent + 1)))
