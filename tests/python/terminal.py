"""chanctl on a terminal, under a shell with job control: who has the keyboard, ^C and ^Z."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

from daemon import BUILD, PATIENCE_S, Daemon, wait_for
from tap import Skip, run, test

CHANCTL = os.path.join(BUILD, 'chanctl')


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self):
        bash = shutil.which('bash')
        if bash is None:
            raise Skip('there is no bash')
        environment = dict(os.environ, PS1='READY> ', TERM='dumb', CHAN_URL=DAEMON.url,
                           PATH=BUILD + ':' + os.environ['PATH'])
        environment.pop('PROMPT_COMMAND', None)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(bash, ['bash', '--norc', '--noprofile', '--noediting', '-i'], environment)
        self.seen = ''
        self.expect(r'READY> ')

    def expect(self, pattern):
        """Reads until the terminal has shown that; returns the match, and forgets what came before."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            left = give_up - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                raise AssertionError('%r was not shown: %r' % (pattern, self.seen))
            self.seen += os.read(self.terminal, 4096).decode(errors='replace')

    def type(self, text):
        os.write(self.terminal, text.encode())

    def run(self, command):
        """Runs it to its end; its exit status."""
        self.type(command + '; echo "status=$?"\r')
        return self.status()

    def status(self):
        """The exit status of what was typed with `; echo "status=$?"` behind it."""
        status = int(self.expect(r'status=(\d+)')[1])
        self.expect(r'READY> ')
        return status

    def stopped(self):
        """Waits until the shell tells that a job has stopped, as it does before the next prompt."""
        while self.expect(r'Stopped|READY> ')[0] != 'Stopped':
            time.sleep(0.01)
            self.type('\r')
        self.expect(r'READY> ')

    def close(self):
        self.type('\x04')
        self.type('exit\r')
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def chanctl(*arguments):
    return subprocess.run([CHANCTL, '--url', DAEMON.url, *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def state(pid):
    with open('/proc/%d/stat' % pid, encoding='utf-8') as stat:
        return stat.read().split()[2]


def permits(name):
    """Waits until its permit is there."""
    chanctl('lock', name, '--timeout', '%dms' % (1000 * PATIENCE_S), '--', 'true')


@test('the command of a lock has the keyboard, and ^D ends its input')
def _():
    shell = Shell()
    shell.type('chanctl lock keys -- sed s/^/got-/; echo "status=$?"\r')
    shell.type('hello\r')
    shell.expect('got-hello')
    shell.type('\x04')
    assert shell.status() == 0
    assert shell.run('echo back') == 0
    shell.close()


@test('^C goes to the command of a lock, and the permit comes back')
def _():
    shell = Shell()
    shell.type('chanctl lock interrupted -- sh -c \'echo run""ning; exec sleep 1000\'; echo "status=$?"\r')
    shell.expect('running')
    shell.type('\x03')
    assert shell.status() in (130, 143)
    permits('interrupted')
    shell.close()


@test('^Z stops the command of a lock with its job, and fg brings both back')
def _():
    shell = Shell()
    shell.type('chanctl lock stopped -- sed -u s/^/got-/\r')
    shell.type('one\r')
    shell.expect('got-one')
    shell.type('\x1a')
    shell.expect('Stopped')
    shell.expect('READY> ')
    shell.type('fg\r')
    shell.expect('chanctl lock stopped')
    shell.type('two\r')
    shell.expect('got-two')
    shell.type('\x04')
    shell.expect('READY> ')
    assert shell.run('true') == 0
    shell.close()


@test('a lock in the background gets the keyboard with fg')
def _():
    shell = Shell()
    shell.type('chanctl lock background -- sed -u s/^/got-/ &\r')
    shell.stopped()  # who is brought back while about to stop itself does stop
    shell.type('fg\r')
    shell.expect('chanctl lock background')
    shell.type('three\r')
    shell.expect('got-three')
    shell.type('\x04')
    shell.expect('READY> ')
    shell.close()


@test('^C at a worker lets its command go on; the second ends it, and the value goes back')
def _():
    chanctl('make', 'jobs', '--cap', '2')
    chanctl('send', 'jobs', 'v')
    shell = Shell()
    shell.type('chanctl worker jobs -- sh -c \'trap "echo to""ld; exit 1" TERM; echo run""ning; sleep 1000 & wait\'; echo "status=$?"\r')
    shell.expect('running')
    shell.type('\x03')
    shell.expect('a second signal ends it')
    shell.type('\x03')
    shell.expect('told')
    assert shell.status() in (130, 143)
    assert chanctl('recv', 'jobs', '--format', '%v %a') == 'v 2'
    shell.close()


@test('^Z stops a worker with its command')
def _():
    chanctl('send', 'jobs', 'v')
    shell = Shell()
    shell.type('chanctl worker jobs -- sh -c \'echo pid=$$; exec sleep 1000\'\r')
    pid = int(shell.expect(r'pid=(\d+)')[1])
    shell.type('\x1a')
    shell.expect('Stopped')
    wait_for(lambda: state(pid) == 'T', 'the command to be stopped')
    shell.type('fg; echo "status=$?"\r')
    wait_for(lambda: state(pid) != 'T', 'the command to go on')
    shell.type('\x03')
    shell.expect('a second signal ends it')
    shell.type('\x03')
    assert shell.status() in (130, 143)
    chanctl('recv', 'jobs')
    shell.close()


@test('top shows a page again and again, and ^C leaves it')
def _():
    chanctl('make', 'shown', '--type', 'int', '--cap', '3')
    shell = Shell()
    shell.type('chanctl top --interval 100ms; echo "status=$?"\r')
    for _ in range(3):
        shell.expect(r'NAME +TYPE')
        shell.expect(r'shown +int')
    shell.type('\x03')
    assert shell.status() == 0
    shell.close()


if __name__ == '__main__':
    DAEMON = Daemon()
    run()
