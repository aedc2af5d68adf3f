"""What came out: a text to read and a JSON to compare, in the report folder."""

import json
import threading
import time

from carriers import BY_TURNS

FINDINGS = ["loss", "double", "half visible", "parked", "stuck"]
LOG_CHARS = 200_000


class Report:
    """Gathers runs."""

    def __init__(self, folder, given):
        self.folder, self.given = folder, given
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock, self.began = threading.Lock(), time.monotonic()
        self.kinds, self.failures, self.breaks = {}, [], []
        self.files = self.octets = self.tries = 0

    def add(self, seed, kind, told, strikes, scene, log, seconds):
        with self.lock:
            row = self.kinds.setdefault(kind, {"runs": 0, "strikes": 0, "failed": 0, "seconds": 0.0})
            row["runs"] += 1
            played = sum(row["runs"] for row in self.kinds.values())
            if played % 100 == 0:
                print(f"{played} of {self.given.runs} played, {len(self.failures)} failed", flush=True)
            row["strikes"] += strikes
            row["seconds"] += seconds
            self.files += len(scene.files)
            self.octets += sum(file.octets for file in scene.files)
            self.tries += sum(file.tries for file in scene.files)
            if scene.findings or self.given.logs:
                (self.folder / f"seed{seed}.log").write_text(log[-LOG_CHARS:])
            if not scene.findings:
                return
            row["failed"] += 1
            names = "" if self.given.carrier == BY_TURNS else f" --carrier {','.join(self.given.carrier)}"
            command = f"cargo xtask faults --runs 1 --seed {seed}{names}"
            findings = [{"kind": what, "text": text} for what, text in scene.findings]
            self.failures.append({"seed": seed, "trouble": kind, "plan": told, "command": command, "findings": findings})
            print(f"seed {seed} ({kind}; {told}): {scene.findings}", flush=True)

    def broken(self, text):
        with self.lock:
            self.breaks.append(text)
            print(text, flush=True)

    def write(self, planned):
        """Writes both; gives whether all is well."""
        counts = {what: 0 for what in FINDINGS}
        for failure in self.failures:
            for finding in failure["findings"]:
                counts[finding["kind"]] += 1
        runs = sum(row["runs"] for row in self.kinds.values())
        seconds = time.monotonic() - self.began
        whole = {
            "carriers": list(self.given.carrier), "seed": self.given.seed, "runs": runs, "seconds": round(seconds, 1),
            "files": self.files, "octets": self.octets, "uploads tried": self.tries, "findings": counts,
            "troubles": {kind: self.kinds[kind] for kind in sorted(self.kinds)}, "failures": self.failures,
            "broken lanes": self.breaks,
        }
        (self.folder / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
        lines = [
            f"{runs} runs in {seconds:.0f} s, seeds from {self.given.seed}: {self.files} files, {self.octets} octets, "
            f"{self.tries} uploads tried",
            ", ".join(f"{what}: {count}" for what, count in counts.items()),
            "",
            *(f"{kind:26} {row['runs']:5} runs {row['strikes']:5} strikes {row['failed']:5} failed {row['seconds'] / row['runs']:6.1f} s each"
              for kind, row in sorted(self.kinds.items())),
        ]
        for failure in self.failures:
            lines += ["", f"seed {failure['seed']}: {failure['trouble']} ({failure['plan']})", f"  {failure['command']}"]
            lines += [f"  {finding['kind']}: {finding['text']}" for finding in failure["findings"]]
        failed = len(self.failures) + planned - runs
        lines += ["", f"{planned} runs: {planned - failed} passed, {failed} failed"]
        text = "\n".join(lines) + "\n"
        (self.folder / "report.txt").write_text(text)
        print(text, flush=True)
        return not self.failures and not self.breaks and runs == planned
