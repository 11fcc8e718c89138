# SPDX-License-Identifier: GPL-3.0-or-later
"""A partition of a real block device: a loop device on a file, with one partition told to the kernel (BLKPG), so that
no partition table and no device-mapper is needed. The loop device is of the kind that goes when its last user does
(LO_FLAGS_AUTOCLEAR), so none is left behind however the test ends. source: linux/loop.h, linux/blkpg.h"""
import ctypes
import fcntl
import os
import stat
import struct

LOOP_CTL_GET_FREE, LOOP_CONFIGURE, BLKPG = 0x4C82, 0x4C0A, 0x1269
AUTOCLEAR, PARTSCAN = 4, 8
START = 1 << 20  # of the partition on its disk, bytes


class Partition:
    """The bytes of a file, from now on on a partition; the node takes the file's place."""

    def __init__(self, path):
        with open(path, 'rb') as f:
            data = f.read()
        self.fd = self.held = None
        self.path, self.backing = path, path + '.backing'
        with open(self.backing, 'wb') as f:
            f.seek(START)
            f.write(data)
        self.attach()
        try:
            self.add(len(data))
            os.unlink(path)
            os.mknod(path, 0o600 | stat.S_IFBLK, self.number)
            self.held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # whoever looks for a table again finds it in use
        except OSError:
            self.close()
            raise

    def attach(self):
        """Another test may take the free one first; then the next."""
        with open('/dev/loop-control', 'rb') as control, open(self.backing, 'r+b') as f:
            for left in reversed(range(64)):
                self.name = f'loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}'
                self.fd = os.open(f'/dev/{self.name}', os.O_RDWR | os.O_CLOEXEC)
                # fd, block size; device, inode, rdevice, offset, limit; number, encryption twice, flags; names, key
                config = struct.pack('<II5Q4I160x16x64x', f.fileno(), 0, 0, 0, 0, 0, 0, 0, 0, 0, AUTOCLEAR | PARTSCAN)
                try:
                    fcntl.ioctl(self.fd, LOOP_CONFIGURE, config)
                    return
                except OSError:
                    self.close()
                    if not left:
                        raise

    def add(self, size):
        partition = ctypes.create_string_buffer(struct.pack('<qqi64s64s4x', START, size, 1, b'', b''))
        fcntl.ioctl(self.fd, BLKPG, struct.pack('<iiiiQ', 1, 0, len(partition.raw), 0, ctypes.addressof(partition)))
        with open(f'/sys/class/block/{self.name}p1/dev') as f:
            self.number = os.makedev(*map(int, f.read().split(':')))

    def close(self):
        for fd in (self.held, self.fd):
            if fd is not None:
                os.close(fd)
        self.fd = self.held = None


def why_not(folder):
    """Why there can be no partition here; None where there can."""
    probe = f'{folder}/probe'
    with open(probe, 'wb') as f:
        f.truncate(1 << 20)
    try:
        Partition(probe).close()
        return None
    except OSError as e:
        return f'no loop device to be had: {e}'
    finally:
        for name in (probe, probe + '.backing'):
            if os.path.lexists(name):
                os.unlink(name)
