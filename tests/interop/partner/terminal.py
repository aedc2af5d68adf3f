"""A person at a terminal: a pseudo-terminal, what is seen on it, and answers."""

import pexpect


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, gateway, *words, env=None):
        env = env or gateway.environment()
        command = [*words, "--data", str(gateway.data)]
        self.child = pexpect.spawn(
            gateway.program, command, env=env, cwd=str(gateway.folder), encoding="utf-8", timeout=30, dimensions=(50, 200)
        )
        self.child.delaybeforesend = None
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.close(force=True)

    def expect(self, text):
        """Waits until `text` is seen; gives what came since the last time, with it."""
        self.child.expect_exact(text)
        came = self.child.before + self.child.after
        self.seen += came
        return came

    def answer(self, prompt, text=""):
        """Waits for a prompt and answers it; gives what was seen before."""
        came = self.expect(prompt)
        self.child.sendline(text)
        return came

    def end(self):
        """Waits for the end; gives the exit code."""
        self.child.expect(pexpect.EOF)
        self.seen += self.child.before
        self.child.wait()
        return self.child.exitstatus

    def hang_up(self):
        """No more answers come."""
        self.child.sendeof()
