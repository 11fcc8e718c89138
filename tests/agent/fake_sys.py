# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices in a folder: what /sys, /dev and /proc/self/mountinfo of a computer say, with image files as nodes."""
import os

SATA, USB, VIRTUAL = 'pci0000:00/0000:00:17.0/ata1/host0', 'pci0000:00/0000:00:14.0/usb1/1-1/host1', 'virtual'


class FakeSys:
    def __init__(self, root):
        self.root, self.mounts, self.minor = root, [], 0
        os.makedirs(f'{root}/sys/class/block', exist_ok=True)
        os.makedirs(f'{root}/dev', exist_ok=True)

    def _put(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text + '\n')

    def add(self, name, image=None, bus=SATA, disk=None, below=(), size=None, **attributes):
        """A device; image: the file that is its content (moved to /dev). attributes: as files, '__' for a slash."""
        where = f'{self.root}/sys/devices/{bus}/block/' + (f'{disk}/{name}' if disk else name)
        node = f'{self.root}/dev/{name}'
        self.minor += 1
        if image:
            os.rename(image, node)
        if size is None:
            size = os.path.getsize(node) if os.path.exists(node) else 1 << 20
        self._put(where + '/dev', f'250:{self.minor}')
        self._put(where + '/size', str(size // 512))
        for key, value in attributes.items():
            self._put(where + '/' + key.replace('__', '/'), str(value))
        for lower in below:
            self._put(f'{where}/slaves/{lower}', '')
        os.symlink(os.path.relpath(where, f'{self.root}/sys/class/block'), f'{self.root}/sys/class/block/{name}')
        return node

    def mapping(self, name, dm_name, uuid, below, image=None):
        return self.add(name, image, VIRTUAL, below=below, dm__name=dm_name, dm__uuid=uuid)

    def mount(self, name, point, kind='ext4'):
        link = os.path.realpath(f'{self.root}/sys/class/block/{name}')
        with open(link + '/dev', encoding='ascii') as f:
            number = f.read().strip()
        self.mounts.append(f'{len(self.mounts) + 20} 1 {number} / {point} rw - {kind} /dev/{name} rw')
        self._put(f'{self.root}/proc/self/mountinfo', '\n'.join(self.mounts))
