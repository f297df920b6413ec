"""chanctl worker and lock over a connection that is cut: the command runs on, and its value is acknowledged."""
import os
import socket
import subprocess
import threading

from daemon import BUILD, PATIENCE_S, Daemon, wait_for
from tap import run, test

CHANCTL = os.path.join(BUILD, 'chanctl')


class Proxy:
    """Passes bytes to the daemon and back, and cuts all connections when told."""

    def __init__(self, port):
        self.port = port
        self.accepted = 0
        self.sockets = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = 'tcp://127.0.0.1:%d' % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(('127.0.0.1', self.port))
            with self.lock:
                self.sockets += [near, far]
                self.accepted += 1
            for pair in (near, far), (far, near):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in source, sink:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            for end in self.sockets:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.sockets.clear()


def chanctl(*arguments):
    return subprocess.run([CHANCTL, '--url', DAEMON.url, *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def cut_while_it_runs(*arguments):
    """Starts chanctl with a command that says a word and waits for one; cuts its connection in between."""
    proxy = Proxy(int(DAEMON.tcp_url.rsplit(':', 1)[1]))
    fifo = os.path.join(DAEMON.directory, 'gate-' + arguments[0])
    os.mkfifo(fifo)
    command = ['--', 'sh', '-c', 'echo started; read word <%s; echo $word' % fifo]
    process = subprocess.Popen([CHANCTL, '--url', proxy.url, *arguments, *command], text=True,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == 'started\n'
    before = proxy.accepted
    proxy.cut()
    wait_for(lambda: proxy.accepted > before, 'the connection to be made again')
    with open(fifo, 'w', encoding='utf-8') as gate:
        gate.write('done\n')
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert out == 'done\n', out
    return process.returncode


@test('a worker whose connection is cut acknowledges what ran meanwhile')
def _():
    chanctl('make', 'jobs', '--cap', '2')
    chanctl('send', 'jobs', 'v')
    chanctl('close', 'jobs')
    assert cut_while_it_runs('worker', 'jobs') == 0
    assert '"redelivered":0' in chanctl('stat', 'jobs', '--json')


@test('a lock whose connection is cut is held, and given back')
def _():
    assert cut_while_it_runs('lock', 'deploy') == 0
    assert chanctl('lock', 'deploy', '--try', '--', 'echo', 'mine') == 'mine'


if __name__ == '__main__':
    DAEMON = Daemon()
    run()
