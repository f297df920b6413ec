"""A chand of one's own for a test, on a private Unix socket and a free TCP port."""
import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from chand_client import Client

BUILD = os.environ.get('top_builddir') or '.'
HERE = os.path.dirname(os.path.abspath(__file__))

# How long a test waits for what another process does; only failing tests wait for so long.
PATIENCE_S = int(os.environ.get('TEST_PATIENCE_MS') or 60000) / 1000


class Daemon:
    def __init__(self, *arguments):
        self.directory = tempfile.mkdtemp(prefix='chand-python-')
        self.url = 'unix:%s/chand.sock' % self.directory
        self.log_path = self.directory + '/log'
        program = os.environ.get('CHAND') or os.path.join(BUILD, 'chand')
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [program, '--listen', self.url, '--listen', 'tcp://127.0.0.1:0', *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(self.end)
        wait_for(lambda: ' ready' in self.log() or self.process.poll() is not None, 'the daemon')
        if self.process.poll() is not None:
            raise RuntimeError('the daemon did not start:\n' + self.log())
        self.tcp_url = re.search(r'listening on (tcp://\S+)', self.log())[1]

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def client(self, program='lesson', linger=0):
        return Client(self.url, program, linger)

    def end(self):
        """SIGTERM; the exit status, which is to be 0."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if os.path.isdir(self.directory):
            if self.process.returncode:
                print('# the daemon ended with %d:\n# %s' % (self.process.returncode, self.log().replace('\n', '\n# ')))
            shutil.rmtree(self.directory)
        return self.process.returncode


def wait_for(condition, what, seconds=PATIENCE_S):
    """Polls a condition that another process makes true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('waited %d s in vain for %s' % (seconds, what))
        time.sleep(0.002)
