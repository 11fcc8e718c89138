#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story, once, on real parts: UEFI firmware, TPM 2.0, Debian's kernel, a LUKS2 root, a real server.

    tests/story/story.py            the test: every assertion, one line each
    tests/story/story.py --tell     the demo: the same run, told

Nothing is acted: what is typed at the recovery screen comes only from the desk's output, and the desk reads only
the QR of a screenshot. Root is needed (the laptop's disk holds files of many users, the server's processes have
users of their own).
"""
import argparse
import os
import shutil
import sys
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)
os.chdir(TOP)

from tests.laptop import image
from tests.laptop.laptop import LaptopError, SerialTimeout
from tests.story import scenes
from tests.story.organisation import CommandFailed
from tests.story.stage import Stage
from tests.story.transcript import StoryFailed, Transcript

OUT = os.path.join(TOP, 'build/demo')


def play(stage):
    for scene in scenes.IN_ORDER:
        stage.script.step(scene.__doc__.splitlines()[0].rstrip('.'))
        scene(stage)


def main():
    parser = argparse.ArgumentParser(description='Play the whole story on real parts.')
    parser.add_argument('--tell', action='store_true', help='tell it as a demo')
    options = parser.parse_args()
    if os.geteuid() != 0:
        os.execvp('sudo', ['sudo', '--', sys.executable, os.path.abspath(__file__), *sys.argv[1:]])
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT, mode=0o700)  # screens show the digits as the user saw them
    script = Transcript(os.path.join(OUT, 'transcript.txt'), options.tell)
    stage = Stage(OUT, script)
    try:
        play(stage)
    except (StoryFailed, CommandFailed, LaptopError, SerialTimeout, image.ImageError) as e:
        if not isinstance(e, StoryFailed):
            script.failed += 1
        script.line(f'   the story ends here: {e}')
    except Exception:
        script.failed += 1
        script.line(traceback.format_exc())
    finally:
        stage.close()
        script.close()
    return 1 if script.failed else 0


if __name__ == '__main__':
    sys.exit(main())
