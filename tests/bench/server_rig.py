# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server's benches share: nginx beside it, keyholt-load against both, CPU time and memory of processes."""
import array
import collections
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'tests/server'))
import server_fixture  # noqa: E402
import web_channel  # noqa: E402

LOAD = 'build/bin/keyholt-load'
CIPHER = 'TLS_AES_128_GCM_SHA256'  # what our server prefers (web_tls.c)
LISTEN_TCP, LISTEN_UNIX, LISTEN_METRICS, PEER_WRITER, PEER_READER = web_channel.numbers(
    'control.h', 'control_what', 'CONTROL_LISTEN_TCP', 'CONTROL_LISTEN_UNIX', 'CONTROL_LISTEN_METRICS', 'CONTROL_PEER_WRITER',
    'CONTROL_PEER_READER')


def children(pid):
    out = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in out.split()]


def family(pid):
    return [pid, *children(pid)]


def cpu_ms(pids):
    """Time on a processor so far, of all threads (schedstat counts nanoseconds, stat only 10 ms)."""
    total = 0
    for pid in pids:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as f:
                total += int(f.read().split()[0])
    return total / 1e6


def rss_kib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(f.read().split('VmRSS:')[1].split()[0])


Memory = collections.namedtuple('Memory', 'name rss pss')


def memory(pid):
    """{pid: KiB} of a process and its children; pss: pages that several have are shared out among them."""
    found = {}
    for one in family(pid):
        with open(f'/proc/{one}/comm', encoding='ascii') as f:
            name = f.read().strip()
        with open(f'/proc/{one}/smaps_rollup', encoding='ascii') as f:
            pss = int(f.read().split('Pss:')[1].split()[0])
        found[one] = Memory(name, rss_kib(one), pss)
    return found


class Load:
    """keyholt-load with enrolled devices; each line is one run."""

    def __init__(self, bundle, port, devices):
        self.port = port
        self.process = subprocess.Popen([LOAD, '--bundle', bundle, '--enroll', f'127.0.0.1:{port}', '--devices', str(devices)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError('keyholt-load ended')
        return json.loads(line)

    def begin(self, what, connections, requests, seconds=60, port=None):
        self.process.stdin.write(f'{what} 127.0.0.1:{port or self.port} {connections} {requests} {seconds}\n')
        self.process.stdin.flush()

    def run(self, *args, **kw):
        self.begin(*args, **kw)
        r = self.answer()
        if sum(r['errors'].values()):
            raise RuntimeError(f'errors under load: {r}')
        return r

    def cost(self, pids, *args, **kw):
        """CPU milliseconds of these processes per exchange, and the line."""
        before = cpu_ms(pids)
        r = self.run(*args, **kw)
        return (cpu_ms(pids) - before) / r['ok'], r

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


class Server(server_fixture.Server):
    def __init__(self, *args, **settings):
        super().__init__('--token-uses', '100000', *args)
        path = os.path.join(self.root, 'etc/keyholt/server.conf')
        with open(path, encoding='utf-8') as f:
            lines = f.read().splitlines()
        names = {name.replace('_', '-'): value for name, value in settings.items()}
        lines = [line for line in lines if line.split(' =')[0] not in names]
        with open(path, 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines + [f'{name} = {value}' for name, value in names.items()]) + '\n')


class Nginx:
    """As many workers as ours; the same certificate, cipher and key exchange (X25519, which the client offers), client
    certificates asked for, no tickets, no cache, a line in a log file for each request: a small static file."""

    def __init__(self, server, workers=1):
        self.dir = tempfile.mkdtemp(prefix='keyholt-nginx-')
        os.chmod(self.dir, 0o755)
        self.port = server_fixture.free_port()
        with open(os.path.join(self.dir, 'sync.json'), 'w', encoding='ascii') as f:
            f.write('{"retry_after":5400,"time":1780000000}')
        conf = os.path.join(self.dir, 'nginx.conf')
        with open(conf, 'w', encoding='ascii') as f:
            f.write(f'''worker_processes {workers}; pid {self.dir}/pid; error_log {self.dir}/error.log; daemon off;
events {{ worker_connections 4096; }}
http {{ access_log {self.dir}/access.log; tcp_nodelay on; server {{ listen 127.0.0.1:{self.port} ssl backlog=1024; root {self.dir};
  ssl_certificate {server.state('web/tls.pem')}; ssl_certificate_key {server.state('web/tls.key')};
  ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {CIPHER}; ssl_session_tickets off; ssl_session_cache off;
  ssl_client_certificate {server.ca}; ssl_verify_client on; }} }}
''')
        self.process = subprocess.Popen(['/usr/sbin/nginx', '-c', conf, '-p', self.dir], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while len(children(self.process.pid)) < workers and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        subprocess.run(['rm', '-rf', self.dir], check=False)


class Pair:
    """Writer, reader and a web worker without their supervisor, and a channel of ours to the same reader."""

    def __init__(self, server):
        self.log = open(server.log, 'ab')
        self.writer = web_channel.Process(server.root, 'writer', self.log)
        self.reader = web_channel.Process(server.root, 'reader', self.log)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.local = socket.socket(socket.AF_UNIX)
        self.local.bind(os.path.join(server.dir, 'bench.sock'))
        self.local.listen(1)
        self.metrics = socket.socket()
        self.metrics.bind(('127.0.0.1', 0))
        self.metrics.listen(1)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def in_child():
            os.dup2(theirs.fileno(), web_channel.CONTROL_FD)
            os.set_inheritable(web_channel.CONTROL_FD, True)
        self.web = subprocess.Popen([os.path.join(server_fixture.BUILD, 'libexec/web'), '--root', server.root],
                                    preexec_fn=in_child, close_fds=False, stdin=subprocess.DEVNULL, stderr=self.log)
        theirs.close()
        for back, what in ((self.writer, PEER_WRITER), (self.reader, PEER_READER)):
            near, far = socket.socketpair()
            self.hand(back.control, web_channel.PEER_WEB, near)
            self.hand(self.control, what, far)
            near.close()
            far.close()
        self.hand(self.control, LISTEN_TCP, self.listener)
        self.hand(self.control, LISTEN_UNIX, self.local)
        self.hand(self.control, LISTEN_METRICS, self.metrics)
        self.control.settimeout(30)
        if self.control.recv(1) != bytes([web_channel.READY]):
            raise RuntimeError('web did not get ready')

    @staticmethod
    def hand(control, what, fd):
        control.sendmsg([bytes([what])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd.fileno()]))])

    def close(self):
        self.web.kill()
        self.web.wait(30)
        self.reader.stop()
        self.writer.stop()
        for one in (self.control, self.listener, self.local, self.metrics, self.log):
            one.close()
