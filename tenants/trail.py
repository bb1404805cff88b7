"""The audit trail's own chain, and what the database itself tells of changes to the set-up.

Our code writes an event for what it does, with the reason. A trigger of the database writes one more for every row of the set-up that is
added, changed or removed, with the old and the new values: also for what a bulk statement, a command or somebody with `psql` did, of which
our code knows nothing. Both carry the id of their transaction, by which they belong together.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from tenants.actors import Actor, ActorKind, as_told
from tenants.chain import Chain
from tenants.models import AuditEvent, AuditSeal, AuditSealBound, User

HASHES = {
    1: """
    SELECT a.id, sha256(convert_to(jsonb_build_array(a.id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor_kind, a.actor_id,
        a.actor_name, a.action, a.object_type, a.object_id, a.reason, a.before, a.after, host(a.address), a.request_id, a.xid::text
        )::text, 'UTF8'))
    FROM tenants_auditevent a WHERE a.tenant_id = %s AND a.id > %s AND a.id <= %s ORDER BY a.id
    """
}
TRAIL = Chain(
    name="seal_trail",
    seals=AuditSeal,
    limits=AuditSealBound,
    sequence="tenants_auditevent_id_seq",
    hashes=HASHES,
    a_row="the event",
)
#: What the database calls its own events.
ADDED, CHANGED, REMOVED = "row_added", "row_changed", "row_removed"
SAID_BY_DATABASE = (ADDED, CHANGED, REMOVED)
#: `whose`: `tenant_id`, where the row names its tenant; `id`, where it is one; `user` and `user_id`, where it is a person or names one: then
#: each of their tenants is told, and of a platform admin every tenant.
#: `hidden`: that they changed is told, and not what to. `unsaid`: not told at all.
FUNCTIONS = """
    CREATE OR REPLACE FUNCTION tenants_of(person bigint) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
        SELECT m.tenant_id FROM tenants_membership m WHERE m.user_id = person
        UNION SELECT t.id FROM tenants_tenant t, tenants_user u WHERE t.is_active AND u.id = person AND u.is_superuser
    $$;
    CREATE OR REPLACE FUNCTION tell_of_person(person bigint, told_action text, told_after jsonb, acting jsonb) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
        WITH told AS (
            INSERT INTO tenants_auditevent (tenant_id, at, actor_kind, actor_id, actor_name, action, object_type, object_id, reason, after,
                address, request_id)
            SELECT tenant, now(), acting->>'kind', (acting->>'id')::bigint, acting->>'name', told_action, 'tenants.user', person::text,
                'At the door', told_after, (acting->>'address')::inet, coalesce(acting->>'request_id', '')
            FROM tenants_of(person) tenant WHERE told_action <> 'sign_in_locked' OR NOT EXISTS (
                SELECT FROM tenants_auditevent a WHERE a.tenant_id = tenant AND a.object_type = 'tenants.user' AND a.object_id = person::text
                    AND a.action = told_action AND a.address IS NOT DISTINCT FROM (acting->>'address')::inet
                    AND a.at > now() - interval '15 minutes')
            RETURNING 1)
        SELECT count(*) FROM told
    $$;
    CREATE OR REPLACE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DECLARE
        whose CONSTANT text := TG_ARGV[0];
        hidden CONSTANT text[] := string_to_array(TG_ARGV[2], ',');
        unsaid CONSTANT text[] := string_to_array(TG_ARGV[3], ',');
        was CONSTANT jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}'::jsonb ELSE to_jsonb(OLD) END;
        is_now CONSTANT jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}'::jsonb ELSE to_jsonb(NEW) END;
        one CONSTANT jsonb := CASE WHEN TG_OP = 'DELETE' THEN was ELSE is_now END;
        acting CONSTANT jsonb := nullif(current_setting('app.acting', true), '')::jsonb;
        told_before jsonb;
        told_after jsonb;
    BEGIN
        SELECT coalesce(jsonb_object_agg(key, CASE WHEN key = ANY (hidden) AND was->key NOT IN ('null', '""') THEN '"(hidden)"'
                    ELSE was->key END) FILTER (WHERE was ? key), '{}'),
               coalesce(jsonb_object_agg(key, CASE WHEN key = ANY (hidden) AND is_now->key NOT IN ('null', '""') THEN '"(hidden)"'
                    ELSE is_now->key END) FILTER (WHERE is_now ? key), '{}')
        INTO told_before, told_after FROM jsonb_object_keys(was || is_now) key
        WHERE was->key IS DISTINCT FROM is_now->key AND key <> ALL (unsaid);
        IF TG_OP = 'UPDATE' AND told_after = '{}' THEN
            RETURN NULL;
        END IF;
        INSERT INTO tenants_auditevent (tenant_id, at, actor_kind, actor_id, actor_name, action, object_type, object_id, reason, before, after,
            address, request_id)
        SELECT t.id, now(), coalesce(acting->>'kind', 'system'), (acting->>'id')::bigint,
            coalesce(acting->>'name', left('database role ' || session_user || ', ' || current_setting('application_name'), 254)),
            CASE TG_OP WHEN 'INSERT' THEN 'row_added' WHEN 'UPDATE' THEN 'row_changed' ELSE 'row_removed' END,
            TG_ARGV[1], one->>'id', '', CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE told_before END,
            CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE told_after END, (acting->>'address')::inet, coalesce(acting->>'request_id', '')
        FROM tenants_tenant t
        WHERE CASE whose
            WHEN 'tenant_id' THEN t.id = (one->>'tenant_id')::bigint
            WHEN 'id' THEN t.id = (one->>'id')::bigint
            ELSE t.id IN (SELECT tenants_of((one->>CASE whose WHEN 'user' THEN 'id' ELSE 'user_id' END)::bigint))
        END;
        RETURN NULL;
    END $$;
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A table of the set-up. Its label is the model's, `app.model`."""

    table: str
    label: str
    whose: str = "tenant_id"
    hidden: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def trigger(self) -> str:
        told = ", ".join(f"'{each}'" for each in self.arguments)
        return f"""
            CREATE OR REPLACE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE ON {self.table}
            FOR EACH ROW EXECUTE FUNCTION tell_change({told});
            ALTER TABLE {self.table} ENABLE TRIGGER tell_change
        """

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.whose, self.label, ",".join(self.hidden), ",".join(self.unsaid)


def watched(app: str, *models: str) -> list[Watched]:
    return [Watched(f"{app}_{name}", f"{app}.{name}") for name in models]


#: Everything that says how a brand's points work and who may do what. Rows that customers or tills make have their own history.
WATCHED = (
    Watched("tenants_tenant", "tenants.tenant", whose="id"),
    Watched("tenants_user", "tenants.user", whose="user", hidden=("password",), unsaid=("last_login",)),
    Watched("mfa_authenticator", "mfa.authenticator", whose="user_id", hidden=("data",), unsaid=("last_used_at",)),
    Watched("tenants_membership", "tenants.membership", hidden=("mobile",)),
    Watched("tenants_apikey", "tenants.apikey", hidden=("secret_hash",)),
    Watched("tenants_signingsecret", "tenants.signingsecret", hidden=("secret",)),
    *watched("tenants", "store", "storemode", "storealias"),
    *watched("loyalty", "programme", "programmeversion", "multiplier", "storeprogramme", "cohort", "bonus", "bonuscondition"),
    Watched("integrations_messagesettings", "integrations.messagesettings", hidden=("webhook_secret", "webhook_url")),
    *watched("integrations", "reconciliationpolicy"),
    *watched("support", "bulksettings", "pointslimit"),
    Watched("support_topiccontact", "support.topiccontact", hidden=("email", "phone")),
)


#: Which tables there are, with the arguments of their trigger where it is switched on.
HEARD = """
    SELECT c.relname, (SELECT encode(g.tgargs, 'escape') FROM pg_trigger g
        WHERE g.tgrelid = c.oid AND g.tgname = 'tell_change' AND g.tgenabled IN ('O', 'A'))
    FROM pg_class c WHERE c.oid = to_regclass(c.relname) AND c.relname = ANY(%s)
"""


def watch(using: str = DEFAULT_DB_ALIAS) -> None:
    """After every migrate: what the database lacks of the function and its triggers."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('tenants_auditevent') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return
        cursor.execute(FUNCTIONS)
        for each in _not_heard(cursor):
            cursor.execute(each.trigger)


def silent() -> list[str]:
    """Watched tables whose changes the database does not tell as it should."""
    with connection.cursor() as cursor:
        return sorted(each.table for each in _not_heard(cursor))


def _not_heard(cursor: CursorWrapper) -> list[Watched]:
    cursor.execute(HEARD, [[each.table for each in WATCHED]])
    heard = dict(cursor.fetchall())
    return [
        each for each in WATCHED if each.table in heard and heard[each.table] != "".join(f"{one}\\000" for one in each.arguments)
    ]


#: Who has not signed in yet.
NOBODY = Actor(ActorKind.SYSTEM, None, "not signed in")


def tell_of_person(user: User, action: str, *, actor: Actor, after: dict[str, Any] | None = None) -> int:
    """An event of each tenant that the person works for, of a platform admin of every tenant; -> how many. Also where the walls show nobody."""
    with connection.cursor() as cursor:
        told = json.dumps(after) if after else None
        cursor.execute("SELECT tell_of_person(%s, %s, %s, %s)", [user.pk, action, told, as_told(actor)])
        return int(cursor.fetchone()[0])


def of_same_transaction(event: AuditEvent) -> "QuerySet[AuditEvent]":
    """What else was told in the transaction of an event."""
    same = RawSQL(
        "SELECT o.id FROM tenants_auditevent o JOIN tenants_auditevent e ON e.tenant_id = o.tenant_id AND e.xid = o.xid"
        " WHERE e.tenant_id = %s AND e.id = %s",
        [event.tenant_id, event.pk],
    )
    found: QuerySet[AuditEvent] = AuditEvent.objects.filter(tenant=event.tenant, pk__in=same).exclude(pk=event.pk)
    return found.order_by("pk")
