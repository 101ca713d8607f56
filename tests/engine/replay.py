"""Runs the steps of a history, again if need be, and makes a history that went wrong shorter."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from psql_session import Failure, Lost, Psql
from question import FUNCTIONS, Question, verdict
from shrink import smaller_values
from writes import Change

SESSIONS = ("a", "b", "c")
FRESH = f"""
SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts WHERE database = current_database() \\gexec
DROP EXTENSION IF EXISTS kursaha_cohort CASCADE;
CREATE EXTENSION kursaha_cohort;
{FUNCTIONS}"""
SECONDS_TO_SHRINK = 240


@dataclass
class Step:
    session: str
    what: object  # a Change or a Question
    group: int  # steps of one group stand or fall together

    def statements(self):
        """Labelled SQL."""
        return self.what.statements()


class Wrong(Exception):
    """The index and plain SQL differ, or a change fails that must not."""

    def __init__(self, what):
        super().__init__(what)
        self.what = what


class Server:
    """Three sessions on a database that is recreated for each history."""

    def __init__(self):
        self.sessions = {name: Psql() for name in SESSIONS}

    def fresh(self):
        for psql in self.sessions.values():
            psql.ask("", [("end", "ROLLBACK;")])
        answer = self.sessions["a"].ask("", [("fresh", FRESH)])["fresh"]
        if isinstance(answer, Failure):
            raise SystemExit(f"the extension cannot be recreated: {answer}")

    def run(self, step):
        """Takes a step; gives the answers by label, (whether both answered, plain SQL's answer) of a question."""
        session = self.sessions[step.session]
        if getattr(step.what, "reads_on", False):
            # Where COPY fails at once, psql takes its rows for statements; a $$ in them would swallow everything after.
            usable = session.ask("", [("change", "SELECT 1;")])
            if isinstance(usable["change"], Failure):
                return usable, False, None
        answers = session.ask("", step.statements())
        if isinstance(step.what, Question):
            answered, wrong, answer = verdict(step.what, answers)
            if wrong:
                raise Wrong(wrong)
            return answers, answered, answer
        problem = answers["change"]
        if isinstance(problem, Failure) and not problem.startswith(step.what.expects):
            raise Wrong(f"{step.what.kind}: {problem}")
        return answers, False, None

    def close(self):
        # Not by asking: one may be in the middle of an answer. The server ends what they left open.
        for psql in self.sessions.values():
            psql.process.kill()
            psql.process.wait()


def goes_wrong(steps, last):
    """What is wrong when these steps are taken on a new database and `last` after them, or None."""
    server = Server()
    try:
        server.fresh()
        for step in steps:
            with suppress(Wrong):  # another failure, or a step that misses those before it
                server.run(step)
        server.run(last)
    except Wrong as wrong:
        return wrong.what
    except Lost as lost:
        return str(lost)
    finally:
        server.close()
    return None


def shrink(steps, last, say):
    """The shortest history found that still goes wrong: (steps, last, what is wrong), or None when it does not again."""
    until = time.monotonic() + SECONDS_TO_SHRINK
    quiet = [quiet_step for step in steps for quiet_step in without_question(step)]
    for candidate, name in ((quiet, "without the other questions"), (steps, "as it was")):
        wrong = goes_wrong(candidate, last)
        if wrong:
            say(f"it goes wrong again {name}; making it shorter")
            steps = candidate
            break
    else:
        return None

    def attempt(candidate, question):
        nonlocal steps, last, wrong
        if time.monotonic() > until:
            return False
        found = goes_wrong(candidate, question)
        if found and found.split()[:2] == wrong.split()[:2]:
            steps, last, wrong = candidate, question, found
            return True
        return False

    attempt([], last)
    size = max(1, len(steps) // 2)
    while time.monotonic() < until:
        shorter = False
        start = 0
        while start < len(steps):
            groups = {step.group for step in steps[start : start + size]}
            if attempt([step for step in steps if step.group not in groups], last):
                shorter = True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    for place in range(len(steps)):
        fewer_rows(steps, place, lambda candidate: attempt(candidate, last))
    if isinstance(last.what, Question) and last.what.rule is not None:
        progress = True
        while progress and time.monotonic() < until:
            progress = any(
                attempt(steps, replace(last, what=last.what.with_rule(rule)))
                for rule in smaller_values(last.what.rule)
                if isinstance(rule, dict)
            )
    return steps, last, wrong


def without_question(step):
    """What a step changes, without what it asks."""
    if not isinstance(step.what, Question):
        return [step]
    if step.what.change:
        return [replace(step, what=step.what.change)]
    return [step] if step.what.changes() else []


def fewer_rows(steps, place, attempt):
    """Takes rows away from the change at this place."""
    step = steps[place]
    if not isinstance(step.what, Change) or len(step.what.rows) < 2:
        return
    rows, size = step.what.rows, len(step.what.rows) // 2
    while size:
        start = 0
        while start < len(rows) and len(rows) > 1:
            rest = rows[:start] + rows[start + size :]
            candidate = [*steps[:place], replace(step, what=replace(step.what, rows=rest)), *steps[place + 1 :]]
            if rest and attempt(candidate):
                steps, rows = candidate, rest
            else:
                start += size
        size //= 2


def script(steps, last):
    """Text that --replay takes, and that a person can follow."""
    lines = []
    for step in [*steps, last]:
        lines.append(f"-- @ {step.session}")
        lines += [text for _, text in step.statements()]
    return "\n".join(lines) + "\n"


def replay(path):
    """Runs such a text and prints what every session answers."""
    with open(path, encoding="utf-8") as file:
        parts = file.read().split("-- @ ")[1:]
    server = Server()
    server.fresh()
    for part in parts:
        name, _, text = part.partition("\n")
        print(f"-- @ {name}\n{text.rstrip()}")
        answer = server.sessions[name].ask("", [("all", text)])["all"]
        print(answer if isinstance(answer, Failure) else "\n".join(answer))
    server.close()
