"""Leases, dead letters, producers and aborts, spoken by a client that was written from PROTOCOL.md."""
import signal
import subprocess
import sys
import time

import chand_client as c
from chand_client import ChandError
from daemon import HERE, Daemon, wait_for
from tap import run, test

daemon = Daemon()
client = daemon.client()


def refused(status, call, *arguments, **named):
    """The error with which it is refused."""
    try:
        call(*arguments, **named)
    except ChandError as error:
        assert error.status == status, error
        return error
    raise AssertionError('it was not refused with %s' % status)


@test('a leased value is out of the capacity, and comes back to its place')
def _():
    jobs = client.make('jobs', 'int', 2)
    for n in range(2):
        jobs.send(n)
    first = jobs.receive(lease=60)
    first.take()
    jobs.send(2)
    stat = client.stat('jobs')
    assert (stat['length'], stat['leased'], stat['received']) == (2, 1, 0), stat
    first.nack()
    assert len(jobs) == 3
    refused('EWOULDBLOCK', jobs.send, 3, try_=True)
    again = jobs.receive(lease=60)
    assert (again.take(), again.attempt) == (0, 2)
    assert again.token > first.token > 0
    again.ack()
    refused('EGONE', again.ack)
    assert [jobs.recv()[0] for _ in range(2)] == [1, 2]
    stat = client.stat('jobs')
    assert stat['sent'] == stat['received'] == 3, stat
    client.remove('jobs')


@test('tokens go on rising when a channel is made again')
def _():
    last = time.time_ns() - 60 * 10**9
    for _ in range(3):
        jobs = client.make('again', 'int', 1)
        jobs.send(1)
        delivery = jobs.receive(lease=60)
        assert delivery.token > last
        last = delivery.token
        client.remove('again')


def held_and_extended(jobs, lease=0.05):
    """A value whose lease was of that time, and was extended within it: on a slow machine of more."""
    held = jobs.receive(lease=lease)
    held.take()
    try:
        held.extend(60)
    except ChandError as error:
        assert error.status == 'EGONE', error
        return held_and_extended(jobs, 2 * lease)
    return held, lease


@test('a lease ends with its time, which may be extended')
def _():
    jobs = client.make('jobs', 'int', 2)
    jobs.send(1)
    held, lease = held_and_extended(jobs)
    refused('ETIMEDOUT', jobs.receive, timeout=2 * lease)
    held.extend(0.001)
    again = jobs.receive()
    assert again.attempt == held.attempt + 1
    wait_for(lambda: held.number in client.gone, 'GONE')
    refused('EGONE', held.extend, 60)
    again.take()
    client.remove('jobs')


@test('nobody sees closed while a value is leased or delayed')
def _():
    jobs = client.make('jobs', 'int', 2)
    jobs.send(1)
    jobs.send(2)
    held, again = jobs.receive(lease=60), jobs.receive(lease=60)
    held.take()
    again.take()
    jobs.close()
    refused('EWOULDBLOCK', jobs.receive, try_=True)
    again.nack(delay=3600)
    held.ack()
    refused('EWOULDBLOCK', jobs.receive, try_=True)
    client.remove('jobs')


@test('a delayed value of a closed channel comes, and is its end')
def _():
    jobs = client.make('jobs', 'int', 2)
    jobs.send(1)
    held = jobs.receive(lease=60)
    held.take()
    jobs.close()
    held.nack(delay=0.05)
    again = jobs.receive(lease=60)
    again.take()
    again.ack()
    assert jobs.receive() is None
    client.remove('jobs')


@test('a client that is killed gives its leases back, and in the end they are dead letters')
def _():
    dead = client.make('dead', 'any', 1)
    jobs = client.make('jobs', 'string', 0, attempts_max=2, dead_letter='dead')
    assert {a['name']: a['value'] for a in client.stat('jobs')['attributes']} == dict(attempts_max=b'2', dead_letter=b'dead')
    seq, _ = jobs.start_send(['poison'])
    for _ in range(2):
        victim = subprocess.Popen([sys.executable, '-c', (
            'import sys, time; sys.path.insert(0, %r); import chand_client as c\n'
            'client = c.Client(%r, "victim"); d = client.open("jobs", c.TO_RECV).receive(lease=3600); d.take()\n'
            'client.ping(); print("has it", flush=True); time.sleep(3600)') % (HERE, daemon.url)], stdout=subprocess.PIPE)
        assert victim.stdout.readline() == b'has it\n'
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    client.finish(seq)
    letter = dead.receive()
    assert letter.take() == 'poison' and letter.attempt == 3, (letter.value, letter.attempt)
    stat = client.stat('jobs')
    assert (stat['length'], stat['leased'], stat['dead_lettered']) == (0, 0, 1), stat
    for name in ('jobs', 'dead'):
        client.remove(name)


@test('dead letters that have nowhere to go stay, and say why')
def _():
    jobs = client.make('jobs', 'int', 1, attempts_max=1, dead_letter='nowhere')
    jobs.send(1)
    held = jobs.receive(lease=60)
    held.take()
    held.nack()
    stat = client.stat('jobs')
    assert (stat['length'], stat['dead_letter_failures']) == (1, 1), stat
    assert 'no such channel' in stat['dead_letter_problem'], stat
    client.remove('jobs')


@test('the last of N producers closes, one more is refused')
def _():
    reader = client.make('stream', 'int', 10, direction=c.TO_RECV, producers=2)
    with daemon.client('one') as one, daemon.client('two') as two:
        first, second = one.open('stream', c.TO_SEND), two.open('stream', c.TO_SEND)
        error = refused('ELIMIT', client.open, 'stream', c.TO_SEND)
        assert 'one[' in error.message and 'two[' in error.message, error
        first.send(1)
        first.close()
        refused('ECLOSED', first.send, 2)
        assert client.stat('stream')['producers'] == 1
        second.send(2)
        second.close()
        assert list(reader.range()) == [1, 2]
    client.remove('stream')


@test('a producer that ends without closing aborts')
def _():
    client.make('stream', 'int', 10, direction=c.TO_RECV, producers='auto')
    with daemon.client('faithful') as faithful, daemon.client('mortal') as mortal:
        faithful.open('stream', c.TO_SEND).close()
        assert client.stat('stream')['closed'], 'all that came were done'
        client.remove('stream')
        reader = client.make('stream', 'int', 10, direction=c.TO_RECV, producers='auto')
        stays = faithful.open('stream', c.TO_SEND)
        mortal.open('stream', c.TO_SEND).send(1)
        mortal.hang_up()
        wait_for(lambda: client.stat('stream')['aborted'], 'the abort')
        assert refused('EABORTED', stays.send, 2).fields['closed_by'].startswith('mortal[')
        assert reader.recv() == (1, True)
        error = refused('EABORTED', reader.recv)
        assert error.fields['closed_by'].startswith('mortal['), error.fields
        assert error.fields['reason'] and error.fields['closed_unix_ns'] > 10**18, error.fields
    client.remove('stream')


@test('an abort on purpose says why')
def _():
    channel = client.make('stream', 'int', 10)
    channel.send(1)
    channel.close('the disk is full', abort=True)
    assert channel.recv() == (1, True)
    assert refused('EABORTED', channel.recv).fields['reason'] == 'the disk is full'
    refused('EABORTED', channel.close)
    client.remove('stream')


if __name__ == '__main__':
    run()
