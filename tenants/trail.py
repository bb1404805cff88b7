"""The audit trail's own chain, and what the database itself tells of changes to the set-up.

Our code writes an event for what it does, with the reason. A trigger of the database writes one more for every row of the set-up that is
added, changed or removed, with the old and the new values: also for what a bulk statement, a command or somebody with `psql` did, of which
our code knows nothing. Both carry the id of their transaction, by which they belong together.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from tenants.actors import Actor, ActorKind, as_told
from tenants.chain import Chain
from tenants.models import AuditEvent, AuditSeal, AuditSealBound, User
from tenants.walls import WEB_ROLE

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
#: They run as the owner, so they look for tables in `public` alone: a temporary one of the same name is not taken for it.
FUNCTIONS = """
    CREATE OR REPLACE FUNCTION tenants_of(person bigint, is_of_platform boolean) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
        SELECT m.tenant_id FROM public.tenants_membership m WHERE m.user_id = person
        UNION SELECT t.id FROM public.tenants_tenant t WHERE t.is_active AND is_of_platform
    $$;
    CREATE OR REPLACE FUNCTION tell_of_person(person bigint, told_action text, told_after jsonb, acting jsonb, network text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        WITH told AS (
            INSERT INTO public.tenants_auditevent (tenant_id, at, actor_kind, actor_id, actor_name, action, object_type, object_id, reason,
                after, address, request_id)
            SELECT tenant, now(), CASE acting->>'kind' WHEN 'person' THEN 'person' ELSE 'system' END, (acting->>'id')::bigint,
                left(acting->>'name', 254), told_action, 'tenants.user', person::text, 'At the door', told_after || jsonb_strip_nulls(
                jsonb_build_object('network', nullif(network, ''))), (acting->>'address')::inet, left(coalesce(acting->>'request_id', ''), 64)
            FROM public.tenants_of(person, (SELECT u.is_superuser FROM public.tenants_user u WHERE u.id = person)) tenant
            WHERE told_action IN ('sign_in', 'sign_out') OR told_action = 'sign_in_locked' AND NOT EXISTS (
                SELECT FROM public.tenants_auditevent a WHERE a.tenant_id = tenant AND a.object_type = 'tenants.user'
                    AND a.object_id = person::text AND a.action = told_action AND a.after->>'network' = network
                    AND a.at > now() - interval '15 minutes') AND 20 > (
                SELECT count(*) FROM public.tenants_auditevent a WHERE a.tenant_id = tenant AND a.object_type = 'tenants.user'
                    AND a.object_id = person::text AND a.action = told_action AND a.at > now() - interval '1 hour')
            OR told_action = 'sign_in_failed' AND 50 > (
                SELECT count(*) FROM public.tenants_auditevent a WHERE a.tenant_id = tenant AND a.object_type = 'tenants.user'
                    AND a.object_id = person::text AND a.action = told_action AND a.at > now() - interval '1 hour')
            RETURNING 1)
        SELECT count(*) FROM told
    $$;
    CREATE OR REPLACE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        whose CONSTANT text := TG_ARGV[0];
        hidden CONSTANT text[] := string_to_array(TG_ARGV[2], ',');
        unsaid CONSTANT text[] := string_to_array(TG_ARGV[3], ',');
        was CONSTANT jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}'::jsonb ELSE to_jsonb(OLD) END;
        is_now CONSTANT jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}'::jsonb ELSE to_jsonb(NEW) END;
        one CONSTANT jsonb := CASE WHEN TG_OP = 'DELETE' THEN was ELSE is_now END;
        acting CONSTANT jsonb := nullif(current_setting('app.acting', true), '')::jsonb;
        person bigint;
        is_of_platform boolean;
        told_before jsonb;
        told_after jsonb;
    BEGIN
        IF TG_TABLE_SCHEMA <> 'public' THEN
            RAISE EXCEPTION 'tell_change() is for tables of the schema public';
        END IF;
        SELECT coalesce(jsonb_object_agg(key, CASE WHEN key = ANY (hidden) AND was->key NOT IN ('null', '""') THEN '"(hidden)"'
                    ELSE was->key END) FILTER (WHERE was ? key), '{}'),
               coalesce(jsonb_object_agg(key, CASE WHEN key = ANY (hidden) AND is_now->key NOT IN ('null', '""') THEN '"(hidden)"'
                    ELSE is_now->key END) FILTER (WHERE is_now ? key), '{}')
        INTO told_before, told_after FROM jsonb_object_keys(was || is_now) key
        WHERE was->key IS DISTINCT FROM is_now->key AND key <> ALL (unsaid);
        IF TG_OP = 'UPDATE' AND told_after = '{}' THEN
            RETURN NULL;
        END IF;
        IF whose IN ('user', 'user_id') THEN
            person := (one->>CASE whose WHEN 'user' THEN 'id' ELSE 'user_id' END)::bigint;
            is_of_platform := coalesce((was->>'is_superuser')::boolean, false) OR coalesce((is_now->>'is_superuser')::boolean, false)
                OR EXISTS (SELECT FROM public.tenants_user u WHERE u.id = person AND u.is_superuser);
        END IF;
        INSERT INTO public.tenants_auditevent (tenant_id, at, actor_kind, actor_id, actor_name, action, object_type, object_id, reason, before,
            after, address, request_id)
        SELECT t.id, now(), coalesce(acting->>'kind', 'system'), (acting->>'id')::bigint,
            left(coalesce(acting->>'name', 'database role ' || session_user || ', ' || current_setting('application_name')), 254),
            CASE TG_OP WHEN 'INSERT' THEN 'row_added' WHEN 'UPDATE' THEN 'row_changed' ELSE 'row_removed' END,
            TG_ARGV[1], one->>'id', '', CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE told_before END,
            CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE told_after END, (acting->>'address')::inet,
            left(coalesce(acting->>'request_id', ''), 64)
        FROM public.tenants_tenant t
        WHERE CASE whose
            WHEN 'tenant_id' THEN t.id IN ((was->>'tenant_id')::bigint, (is_now->>'tenant_id')::bigint)
            WHEN 'id' THEN t.id = (one->>'id')::bigint
            ELSE t.id IN (SELECT public.tenants_of(person, is_of_platform))
        END;
        RETURN NULL;
    END $$;
    REVOKE EXECUTE ON FUNCTION tenants_of(bigint, boolean), tell_change(), tell_of_person(bigint, text, jsonb, jsonb, text) FROM PUBLIC;
"""
GRANT = f"GRANT EXECUTE ON FUNCTION tell_of_person(bigint, text, jsonb, jsonb, text) TO {WEB_ROLE}"


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
            ALTER TABLE {self.table} ENABLE TRIGGER tell_change;
            CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON {self.table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
            ALTER TABLE {self.table} ENABLE TRIGGER never_emptied
        """

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.whose, self.label, ",".join(self.hidden), ",".join(self.unsaid)


def watched(app: str, *models: str) -> list[Watched]:
    return [Watched(f"{app}_{name}", f"{app}.{name}") for name in models]


#: Everything that says how a brand's points work and who may do what. Rows that customers or tills make have their own history.
WATCHED = (
    Watched("tenants_tenant", "tenants.tenant", whose="id", unsaid=("messages_gone_until",)),
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


#: Which tables there are, with the arguments of their trigger where it tells whatever happens, and no other one can be emptied.
HEARD = """
    SELECT c.relname, (SELECT encode(g.tgargs, 'escape') FROM pg_trigger g
        WHERE g.tgrelid = c.oid AND g.tgname = 'tell_change' AND g.tgenabled IN ('O', 'A') AND g.tgtype = 29 AND g.tgqual IS NULL
            AND g.tgattr = '' AND g.tgfoid = 'public.tell_change()'::regprocedure AND EXISTS (
                SELECT FROM pg_trigger n WHERE n.tgrelid = c.oid AND n.tgname = 'never_emptied' AND n.tgenabled IN ('O', 'A')
                    AND n.tgtype = 34 AND n.tgfoid = 'public.refuse_change()'::regprocedure))
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s)
"""
BODIES = (
    "SELECT proname, prosrc, prosecdef, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname = ANY(%s)"
)
NAMES = ("tenants_of", "tell_of_person", "tell_change")


def watch(using: str = DEFAULT_DB_ALIAS) -> None:
    """After every migrate: what the database lacks of the functions and their triggers."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('tenants_auditevent') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return
        cursor.execute(FUNCTIONS)
        cursor.execute(GRANT)
        for each in _not_heard(cursor):
            cursor.execute(each.trigger)


def silent() -> list[str]:
    """Watched tables, and functions, by which the database does not tell changes as it should."""
    with connection.cursor() as cursor:
        tables = [each.table for each in _not_heard(cursor)]
        cursor.execute(BODIES, [list(NAMES)])
        there = {name: (body, definer, path) for name, body, definer, path in cursor.fetchall()}
    ours = [FUNCTIONS.split("$$")[place] for place in (1, 3, 5)]
    path = ["search_path=pg_catalog, public, pg_temp"]
    changed = [f"{name}()" for name, body in zip(NAMES, ours, strict=True) if there.get(name) != (body, True, path)]
    return sorted([*tables, *changed])


def _not_heard(cursor: CursorWrapper) -> list[Watched]:
    cursor.execute(HEARD, [[each.table for each in WATCHED]])
    heard = dict(cursor.fetchall())
    return [
        each for each in WATCHED if each.table in heard and heard[each.table] != "".join(f"{one}\\000" for one in each.arguments)
    ]


#: Who has not signed in yet.
NOBODY = Actor(ActorKind.SYSTEM, None, "not signed in")


def tell_of_person(user: User, action: str, *, actor: Actor, network: str = "", after: dict[str, Any] | None = None) -> int:
    """An event of each tenant that the person works for, of a platform admin of every tenant; -> how many. Also where the walls show nobody.
    What a stranger causes is told so often an hour and no more: the trail cannot be filled from outside."""
    with connection.cursor() as cursor:
        asked: list[Any] = [user.pk, action, json.dumps(after or {}), as_told(actor), network]
        cursor.execute("SELECT tell_of_person(%s, %s, %s, %s, %s)", asked)
        return int(cursor.fetchone()[0])


def of_same_transaction(event: AuditEvent) -> "QuerySet[AuditEvent]":
    """What else was told in the transaction of an event. A database that was restored counts transactions anew: old ones of the same number
    are others."""
    same = RawSQL(
        "SELECT o.id FROM tenants_auditevent o JOIN tenants_auditevent e ON e.tenant_id = o.tenant_id AND e.xid = o.xid"
        " WHERE e.tenant_id = %s AND e.id = %s",
        [event.tenant_id, event.pk],
    )
    then = (event.at - timedelta(days=1), event.at + timedelta(days=1))
    found: QuerySet[AuditEvent] = AuditEvent.objects.filter(tenant=event.tenant, pk__in=same, at__range=then).exclude(pk=event.pk)
    return found.order_by("pk")
