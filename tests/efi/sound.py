# SPDX-License-Identifier: GPL-3.0-or-later
"""What the PC speaker played: QEMU writes it into a WAV file, which is read here as tones."""
import array

SMALLEST = 8  # ms: what is shorter is an edge, no tone


NAMES = {1760: 'h', 330: 'l', 880: '1', 1175: '2', 1568: '3', 784: '9', 587: '8', 440: '7'}  # efi/tones.c


def options(path):
    return ['-audiodev', f'wav,id=speaker,path={path}', '-machine', 'pcspk-audiodev=speaker']


def samples(path):
    """Signed samples of the first channel, and how many there are in a second. QEMU that was killed leaves the lengths
    in the file's head zero, so they are not read. source: RIFF WAVE, PCM"""
    with open(path, 'rb') as f:
        data = f.read()
    at = data.index(b'fmt ') + 8
    channels, rate = int.from_bytes(data[at + 2:at + 4], 'little'), int.from_bytes(data[at + 4:at + 8], 'little')
    bits = int.from_bytes(data[at + 14:at + 16], 'little')
    body = data[data.index(b'data') + 8:]
    assert bits == 16, bits
    values = array.array('h', body[:len(body) // 2 * 2])
    return values[::channels], rate


def rises(values):
    """Where the wave goes up."""
    return [i for i in range(1, len(values)) if values[i - 1] <= 0 < values[i]]


def tones(path):
    """[(Hz, ms)] of the tones, one after the other; pauses part them and are not listed."""
    values, rate = samples(path)
    found, at = [], rises(values)
    periods = [b - a for a, b in zip(at, at[1:])]
    for period in periods:
        if period > rate // 100:  # below 100 Hz: a pause
            found.append([])
        elif found and found[-1] and abs(period - found[-1][-1]) <= 1 + found[-1][-1] // 10:
            found[-1].append(period)
        else:
            found.append([period])
    runs = [(round(rate * len(run) / sum(run)), round(1000 * sum(run) / rate)) for run in found if run]
    return [run for run in runs if run[1] >= SMALLEST]


def spell(heard):
    """One letter for each tone: the name of the pitch within 3 %, else '?'."""
    return ''.join(next((name for hz, name in NAMES.items() if abs(pitch - hz) <= 0.03 * hz), '?') for pitch, _ in heard)
