"""The page, chand.proto, the C headers and this client say the same."""
import os
import re

import chand_client as c
from tap import run, test

TOP = os.environ.get('top_srcdir') or os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')


def text(path):
    with open(os.path.join(TOP, path), encoding='utf-8') as f:
        return f.read()


PAGE = text('proto/PROTOCOL.md')


def frames_of_the_page():
    """(kind's name, bytes, what the page says of the fields) for each frame in the last part."""
    part = PAGE[PAGE.index('## 17.'):]
    for name, said, hexa in re.findall(r'^    [<>] ([A-Z]+) *(.*)\n        ([0-9a-f |]+)$', part, re.MULTILINE):
        yield name, bytes.fromhex(hexa.replace('|', ' ')), said


@test('every frame that PROTOCOL.md shows parses, and is what this client sends')
def _():
    seen = 0
    for name, data, said in frames_of_the_page():
        kind, flags, message, payload, rest = c.parse_frame(data)
        assert kind == getattr(c, name), name
        assert (flags, rest) == (0, b''), name
        assert c.frame(kind, message, payload) == data, name
        for field, value in re.findall(r'(\w+) ("?[\w]+"?)(?:,|$)', re.sub(r'\{.*\}', '', said)):
            if field in message and not isinstance(message[field], (bytes, list, dict)):
                shown = message[field]
                shown = '"%s"' % shown if isinstance(shown, str) else str(shown).lower()
                assert shown == value, (name, field, shown, value)
        seen += 1
    assert seen == 10, seen


@test("the page's tables of kinds and statuses are those of the headers")
def _():
    wire = dict((name, int(n)) for name, n in re.findall(r'X\(([A-Z_]+), (\d+), [CBE]\)', text('proto/wire.h')))
    for name, number in wire.items():
        assert getattr(c, name) == number, name
    table = re.findall(r'\| ([\d, ]+) \| ([A-Z_, ]+?)(?: \(both ways\))? (?=\|)', PAGE[PAGE.index('## 2.'):PAGE.index('## 3.')])
    shown = {}
    for numbers, names in table:
        shown.update(zip(names.split(', '), map(int, numbers.split(', '))))
    assert shown == wire, set(shown.items()) ^ set(wire.items())

    status = dict((name, int(n)) for name, n in re.findall(r'X\((E[A-Z]+), (\d+),', text('include/chan/status.h')))
    assert status == {name: n for name, n in c.NUMBER.items() if n}
    for number, name in re.findall(r'^\| (\d+) \| (E[A-Z]+) \|', PAGE, re.MULTILINE):
        assert status[name] == int(number), name


@test("this client's messages are chand.proto's")
def _():
    proto = re.sub(r'//.*', '', text('proto/chand.proto'))
    kinds = {'string': 'text', 'bytes': 'bytes', 'bool': 'bool', 'int64': 'int', 'uint32': 'uint', 'uint64': 'uint'}
    inner = {'Speaker': c.SPEAKER, 'Credentials': c.CREDENTIALS, 'Limits': c.LIMITS, 'Attribute': c.ATTRIBUTE,
             'Range': c.RANGE, 'Case': c.CASE, 'ChannelStat': c.CHANNEL_STAT, 'Waiter': c.WAITER}
    compared = 0
    for name, body in re.findall(r'message (\w+) \{([^}]*)\}', proto):
        expected = {}
        for repeated, kind, field, number in re.findall(r'(repeated )?(\w+) (\w+) = (\d+);', body):
            kind = kinds.get(kind) or inner[kind]
            expected[field] = (int(number), [kind] if repeated else kind)
        constant = re.sub('^Ring(?=.)', 'RING_', name).upper()
        known = c.ENVELOPE if name == 'Envelope' else inner.get(name) or c.MESSAGES[getattr(c, constant)]
        assert known == expected, name
        compared += 1
    assert compared == len(c.MESSAGES) + len(inner) + 1, compared


@test('the limits of the page are those of limits.h')
def _():
    limits = re.sub(r'/\*.*?\*/', '', text('proto/limits.h'), flags=re.DOTALL)
    part = PAGE[PAGE.index('## 15.'):PAGE.index('## 16.')]
    for row, name in (('frame_header_bytes', 'FRAME_HEADER_BYTES_MAX'), ('frame_payload_bytes', 'FRAME_PAYLOAD_BYTES_MAX'),
                      ('value_bytes', 'VALUE_BYTES_MAX_DEFAULT'), ('capacity', 'CAPACITY_MAX_DEFAULT'),
                      ('select_cases', 'SELECT_CASES_MAX'), ('credit', 'CREDIT_MAX'), ('batch_values', 'BATCH_VALUES_MAX'),
                      ('ops_in_flight', 'OPS_IN_FLIGHT_MAX_DEFAULT'), ('bytes_in_flight', 'BYTES_IN_FLIGHT_MAX_DEFAULT')):
        value = re.search(r'#define %s (.*)' % name, limits)[1].replace('u', '')
        shown = re.search(r'\| %s\b[^|]*\| ([\d ]+) \|' % row, part)[1].replace(' ', '')
        assert eval(value, {'__builtins__': {}}) == int(shown), row


@test('numbers survive being written: signs, the largest, the absent')
def _():
    for n in (0, 1, 127, 128, 300, (1 << 64) - 1):
        assert c.decode(c.MESSAGES[c.GRANT], c.encode(c.MESSAGES[c.GRANT], dict(seq=n)))['seq'] == n
    made = c.decode(c.MESSAGES[c.MAKE], c.encode(c.MESSAGES[c.MAKE], dict(seq=1, capacity=-5, attributes=[dict(name='a')])))
    assert made['capacity'] == -5
    assert made['attributes'] == [dict(name='a', value=b'')]
    assert made['temporary'] is False


@test('values of every type come back as they were')
def _():
    reference = c.Reference(7, 9, 3, 'jobs')
    for kind, value in (('int', -2**63), ('int', 42), ('float', 1.5), ('bool', True), ('bool', False), ('string', 'grüße\0'),
                        ('bytes', b'\xff\0'), ('signal', None), ('chan', reference)):
        assert c.unpack(kind, c.pack(kind, value)) == value, kind
        assert c.unpack('any', c.pack('any', value)) == value, kind
    assert c.pack('int', -2) == b'\xff' * 7 + b'\xfe'
    for kind, value in (('int', 'x'), ('int', 2**63), ('string', 5), ('bytes', 5), ('float', 'x')):
        try:
            c.pack(kind, value)
            assert False, (kind, value)
        except c.ChandError as error:
            assert error.status == 'ETYPE'


@test('a payload is cut into its values, with the attempt and the token of one that has them')
def _():
    again = bytes([1]) + (2 + 2 + 3).to_bytes(4, 'big') + b'\0\2\x08\3' + b'two'
    leased = bytes([1]) + (2 + 3 + 1).to_bytes(4, 'big') + b'\0\3\x28\xac\x02' + b'x'
    payload = c.put_values([b'one']) + again + leased + c.put_values([b''])
    assert list(c.get_values(payload)) == [(b'one', 1, 0), (b'two', 3, 0), (b'x', 1, 300), (b'', 1, 0)]


if __name__ == '__main__':
    run()
