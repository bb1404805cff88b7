"""What people at the desk do on a bad day: every bill of the day is booked anew, and a long file of customers is read, while faults hit."""

import json
import subprocess
from contextlib import suppress
from typing import Any

from tests.faults.test_processes import Up

PEOPLE = 2500
FEW = 50
#: In one process that goes on after whatever becomes of the engines: a command takes seconds to start.
WORK = """
import time
from django.db import InterfaceError, OperationalError, connection
from django_scopes import scope
from integrations import bell, files, replay
from integrations.models import Delivery, FileImport, FileKind, FileState, Replay, ReplayState
from integrations.tasks import read_file, work_on_replay
from tenants.actors import SYSTEM
from tenants.commands import tenant_of
from tenants.errors import DomainError

BODY = ("mobile,name\\n" + "".join(f"+91{77000_00000 + n},Guest {n}\\n" for n in range(PEOPLE))).encode()
NEXT = {ReplayState.CHOSEN: ReplayState.TRYING, ReplayState.TRIED: ReplayState.RUNNING}

def is_read(tenant):
    file = FileImport.objects.filter(tenant=tenant).first()
    if file is None:
        file = files.keep(tenant, FileKind.PEOPLE, name="people.csv", body=BODY, actor=SYSTEM)
        bell.send(read_file.name, file.pk)
    return file.state in (FileState.DONE, FileState.REFUSED)

def is_booked_anew(tenant):
    row = Replay.objects.filter(tenant=tenant).first()
    if row is None:
        if time.monotonic() < began + PATIENCE and Delivery.objects.filter(tenant=tenant, state="applied").count() < MANY:
            return False
        row = replay.choose(tenant, filters={"states": ["applied"]}, reason="A bad day", actor=SYSTEM, per_second=200)
    if row.state in NEXT:
        replay.ask(row, NEXT[row.state], actor=SYSTEM)
        bell.send(work_on_replay.name, row.pk)
    return row.state == ReplayState.DONE

def goes_on(slug):
    tenant = tenant_of(slug)
    with scope(tenant=tenant):
        return not all([is_read(tenant), is_booked_anew(tenant)])

def one_goes_on():
    try:
        return any([goes_on(slug) for slug in SLUGS])
    except (OperationalError, InterfaceError, DomainError):  # no engine, or no bill yet
        connection.close()
        return True

began, PATIENCE, MANY = time.monotonic(), 60, 100
while one_goes_on() and time.monotonic() < began + SECONDS:
    time.sleep(1)
"""
DONE = """
import json
from django_scopes import scope
from integrations.models import FileImport, Replay
from loyalty.models import Customer
from tenants.commands import tenant_of

def told(slug):
    tenant = tenant_of(slug)
    with scope(tenant=tenant):
        file, row = FileImport.objects.filter(tenant=tenant).first(), Replay.objects.filter(tenant=tenant).first()
        return {
            "file": file and [file.state, file.taken, file.refused],
            "people": Customer.objects.filter(tenant=tenant, mobile__startswith="+9177").count(),
            "replay": row and [row.state, row.done - row.total], "bills": row.total if row else 0,
        }

print("DONE", json.dumps({slug: told(slug) for slug in SLUGS}))
"""


def work(up: Up, slugs: list[str], *, seconds: int) -> None:
    """Until all of it is done, or the time is over."""
    for _ in range(3):  # a crash that was meant for another process may hit this one, and whoever waits for an engine waits long
        script = f"SLUGS, PEOPLE, SECONDS = {slugs!r}, {PEOPLE}, {seconds}\n{WORK}"
        with suppress(subprocess.TimeoutExpired):
            if up.manage("shell", "-v", "0", "-c", script, seconds=seconds + 60).returncode == 0:
                return


def problems(up: Up, slugs: list[str]) -> tuple[list[str], dict[str, Any]]:
    """-> sentences, and what was done by slug."""
    done = up.manage("shell", "-v", "0", "-c", f"SLUGS = {slugs!r}\n{DONE}")
    if done.returncode:
        return [f"desk: {done.stderr[-600:]}"], {}
    told = json.loads(done.stdout.partition("DONE ")[2])
    wanted = {"file": ["done", PEOPLE, 0], "people": PEOPLE, "replay": ["done", 0]}
    found = [f"{slug}: only {said['bills']} bills were booked anew." for slug, said in told.items() if said["bills"] < FEW]
    found += [
        f"{slug}: {name} should be {right} and is {said[name]}."
        for slug, said in told.items()
        for name, right in wanted.items()
        if said[name] != right
    ]
    return found, told
