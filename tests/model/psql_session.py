"""One long-running psql, driven over pipes: it runs scripts and returns the result of each query by its label."""

import os
import queue
import subprocess
import threading

# No answer may depend on how the session likes its dates written. Compiling the SQL of a rule with many conditions takes
# seconds, and running it milliseconds.
SETTINGS = """SET client_encoding = 'UTF8'; SET client_min_messages = warning; SET jit = off;
SET timezone = 'Pacific/Chatham'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard';"""


class Failure(str):
    """What the server said instead of an answer."""


class Lost(SystemExit):
    """The session ended, or gives no answer."""


class Psql:
    def __init__(self, host=None):
        """A session on the server that psql finds through PG*, or on another one by its socket's directory."""
        self.process = subprocess.Popen(
            ["psql", "-qXAt", "-v", "ON_ERROR_ROLLBACK=on", "-v", "VERBOSITY=terse", "-v", "FETCH_COUNT=0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PGHOST": host} if host else None,
            text=True,
            encoding="utf-8",
        )
        self.lines = queue.Queue()
        self.batch = 0
        # Without a reader of its own psql would stop writing, and then reading, once a pipe is full.
        threading.Thread(target=self._read, daemon=True).start()
        self.ask(SETTINGS, [])

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def send(self, before, queries, after=""):
        """Sends a script; each query is (label, SQL text), the text ending in `;` or a psql command that runs it."""
        self.batch += 1
        parts = [before, check_error()]
        for label, query in queries:
            parts += [f"\\echo '@@ {label}'", query, check_error()]
        parts += ["\\echo '@@ after'", after, f"\\echo '@@ end {self.batch}'", ""]
        self.process.stdin.write("\n".join(parts))
        self.process.stdin.flush()

    def receive(self, timeout=120):
        """Answers by label: a list of lines, or a Failure."""
        answers, label = {"before": []}, "before"
        while True:
            try:
                line = self.lines.get(timeout=timeout)
            except queue.Empty:
                self.process.kill()
                raise Lost(f"no answer from psql within {timeout} s, waiting for {label!r}") from None
            if line is None:
                raise Lost(f"psql ended while answering {label!r}: is the server there, and did it survive?")
            if line == f"@@ end {self.batch}":
                return answers
            if line.startswith("@@ "):
                label = line[3:]
                answers[label] = []
            elif line.startswith("@! "):
                answers[label] = Failure(line[3:])
            elif not isinstance(answers[label], Failure):
                answers[label].append(line)

    def ask(self, before, queries, after=""):
        self.send(before, queries, after)
        return self.receive()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def check_error():
    return "\\if :ERROR\n\\echo '@!' :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\n\\endif"


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def copy_field(text):
    """One field of COPY's text format."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
