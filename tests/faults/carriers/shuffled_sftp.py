"""OpenSSH's `sftp-server`, whose answers come in another order than they were made in, which SFTP allows: who asks has to look
at their numbers. Run by sshd: shuffled_sftp.py SERVER FOLDER SEED."""

import os
import random
import select
import struct
import subprocess
import sys

# How long an answer waits for others to be mixed with, and how many are mixed at most.
WAIT_S, MIXED_MAX = 0.004, 32


def answer(pipe):
    """The next whole packet; nothing at the end."""
    head = exactly(pipe, 4)
    return head + exactly(pipe, struct.unpack(">I", head)[0]) if head else b""


def exactly(pipe, octets):
    got = b""
    while len(got) < octets:
        piece = os.read(pipe, octets - len(got))
        if not piece:
            return b""
        got += piece
    return got


def send(octets):
    while octets:
        octets = octets[os.write(1, octets):]


def main():
    program, folder, seed = sys.argv[1:]
    dice = random.Random(seed)
    # Requests go to it untouched, in their order.
    server = subprocess.Popen([program, "-d", folder], stdout=subprocess.PIPE)
    os.close(0)
    pipe = server.stdout.fileno()
    send(answer(pipe))  # VERSION has no number
    while first := answer(pipe):
        mixed = [first]
        while len(mixed) < MIXED_MAX and select.select([pipe], [], [], dice.uniform(0, WAIT_S))[0]:
            more = answer(pipe)
            if not more:
                break
            mixed.append(more)
        dice.shuffle(mixed)
        for packet in mixed:
            send(packet)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
