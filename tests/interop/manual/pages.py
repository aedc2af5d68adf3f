"""The commands of the manual's pages, as they stand there."""

import re
import shlex
from pathlib import Path

MANUAL = Path(__file__).parents[3] / "docs" / "manual"

PROGRAMS = (
    "gatehouse", "secadm", "secdsp", "secbase", "peladm", "peldsp", "pelbase", "peltrans", "pelctl", "pelmon", "pelpur",
    "peluconf", "pelencpass", "vfdadm", "vfddsp", "vfdbase",
)
# Words that show the form of a command, not a command.
FORMS = ("PROGRAM", "SUBCOMMAND", "...")


class Page:
    """One page: the commands of its indented blocks, and those in backquotes."""

    def __init__(self, name):
        self.name = name
        self.text = (MANUAL / name).read_text()

    def commands(self):
        """Lines of the indented blocks that a reader would type, as words; those of sftp with what is typed there."""
        found = []
        for line in self.lines():
            if line.startswith("sftp> "):
                found[-1].append(line.removeprefix("sftp> "))
            elif line.startswith("sftp "):
                found.append(shlex.split(line))
            elif line.startswith(tuple(f"{program} " for program in PROGRAMS)):
                words = shlex.split(line, comments=True)
                if not any(word in FORMS for word in words):
                    found.append(words if words[0] == "gatehouse" else ["gatehouse", *words])
        return found

    def lines(self):
        """Lines of the blocks; one that ends with a backslash goes on in the next."""
        text = re.sub(r" \\\n +", " ", self.text)
        return [line.strip() for line in text.splitlines() if line.startswith("    ") and line.strip()]

    def mentioned(self):
        """Commands in backquotes that can be told for sure: with `gatehouse`, or with a program and a subcommand."""
        found = []
        for text in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", self.text, flags=re.S)):
            words = text.split()
            if words[0] in PROGRAMS and len(words) > 1 and not re.search(r"[…|,<]", text):
                found.append(words[1:] if words[0] == "gatehouse" else words)
        return found


def pages():
    return sorted(path.name for path in MANUAL.glob("*.md") if path.name != "README.md")
