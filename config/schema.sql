CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

CREATE FUNCTION public.end_sessions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        NEW.factors_changed = greatest(NEW.factors_changed, OLD.factors_changed) + (OLD.is_active AND NOT NEW.is_active)::int;
        RETURN NEW;
    END $$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused. Post a correction instead.', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation';
    END $$;

CREATE FUNCTION public.say_when_tier_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN NEW.tier_changed_at = now(); RETURN NEW; END $$;

CREATE FUNCTION public.search_customers(words text, at_most integer) RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
        SELECT id FROM loyalty_customer
        WHERE tenant_id = ANY ((SELECT string_to_array(NULLIF(current_setting('app.tenants', true), ''), ','))::bigint[])
          AND (upper(name) LIKE '%' || upper(replace(replace(replace(words, '\', '\\'), '%', '\%'), '_', '\_')) || '%'
               OR upper(email) LIKE '%' || upper(replace(replace(replace(words, '\', '\\'), '%', '\%'), '_', '\_')) || '%')
        ORDER BY id DESC LIMIT least(at_most, 50)
    $$;

CREATE FUNCTION public.stamp_xid() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        NEW.xid = pg_current_xact_id();
        RETURN NEW;
    END $$;

CREATE FUNCTION public.tell_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.tell_of_person(person bigint, told_action text, told_after jsonb, acting jsonb, network text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.tenants_of(person bigint, is_of_platform boolean) RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
        SELECT m.tenant_id FROM public.tenants_membership m WHERE m.user_id = person
        UNION SELECT t.id FROM public.tenants_tenant t WHERE t.is_active AND is_of_platform
    $$;

CREATE TABLE public.account_emailaddress (
    id integer NOT NULL,
    email character varying(254) NOT NULL,
    verified boolean NOT NULL,
    "primary" boolean NOT NULL,
    user_id bigint NOT NULL
);

ALTER TABLE public.account_emailaddress ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.account_emailaddress_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.account_emailconfirmation (
    id integer NOT NULL,
    created timestamp with time zone NOT NULL,
    sent timestamp with time zone,
    key character varying(64) NOT NULL,
    email_address_id integer NOT NULL
);

ALTER TABLE public.account_emailconfirmation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.account_emailconfirmation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);

ALTER TABLE public.auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group_permissions (
    id bigint NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);

ALTER TABLE public.auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.axes_accessattempt (
    id integer NOT NULL,
    user_agent character varying(255) NOT NULL,
    ip_address inet,
    username character varying(255),
    http_accept character varying(1025) NOT NULL,
    path_info character varying(255) NOT NULL,
    attempt_time timestamp with time zone NOT NULL,
    get_data text NOT NULL,
    post_data text NOT NULL,
    failures_since_start integer NOT NULL,
    CONSTRAINT axes_accessattempt_failures_since_start_check CHECK ((failures_since_start >= 0))
);

ALTER TABLE public.axes_accessattempt ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.axes_accessattempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.axes_accessattemptexpiration (
    access_attempt_id integer NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.axes_accessfailurelog (
    id integer NOT NULL,
    user_agent character varying(255) NOT NULL,
    ip_address inet,
    username character varying(255),
    http_accept character varying(1025) NOT NULL,
    path_info character varying(255) NOT NULL,
    attempt_time timestamp with time zone NOT NULL,
    locked_out boolean NOT NULL
);

ALTER TABLE public.axes_accessfailurelog ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.axes_accessfailurelog_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.axes_accesslog (
    id integer NOT NULL,
    user_agent character varying(255) NOT NULL,
    ip_address inet,
    username character varying(255),
    http_accept character varying(1025) NOT NULL,
    path_info character varying(255) NOT NULL,
    attempt_time timestamp with time zone NOT NULL,
    logout_time timestamp with time zone,
    session_hash character varying(64) NOT NULL
);

ALTER TABLE public.axes_accesslog ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.axes_accesslog_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_admin_log (
    id integer NOT NULL,
    action_time timestamp with time zone NOT NULL,
    object_id text,
    object_repr character varying(200) NOT NULL,
    action_flag smallint NOT NULL,
    change_message text NOT NULL,
    content_type_id integer,
    user_id bigint NOT NULL,
    CONSTRAINT django_admin_log_action_flag_check CHECK ((action_flag >= 0))
);

ALTER TABLE public.django_admin_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_admin_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);

ALTER TABLE public.django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);

ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);

CREATE TABLE public.integrations_bill (
    id bigint NOT NULL,
    bill_class character varying(6) NOT NULL,
    bill_type character varying(8) NOT NULL,
    bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    till character varying(64) NOT NULL,
    period character varying(9) NOT NULL,
    version integer NOT NULL,
    bill_uid character varying(120) NOT NULL,
    till_code character varying(64) NOT NULL,
    cashier character varying(120) NOT NULL,
    billed_at timestamp with time zone NOT NULL,
    business_date date NOT NULL,
    gross_amount numeric(18,4) NOT NULL,
    discount_amount numeric(18,4) NOT NULL,
    net_amount numeric(18,4) NOT NULL,
    tax_amount numeric(18,4) NOT NULL,
    payable_amount numeric(18,4) NOT NULL,
    mode character varying(8) NOT NULL,
    redeemed_points bigint NOT NULL,
    redeemed_amount numeric(18,4) NOT NULL,
    earned_points bigint NOT NULL,
    flags character varying(40)[] NOT NULL,
    fingerprint bigint NOT NULL,
    posted_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    customer_id bigint,
    hold_id bigint,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    cancelled_by_id bigint,
    parent_id bigint,
    return_type character varying(9) NOT NULL,
    superseded_at timestamp with time zone,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT integrations_bill_version_check CHECK ((version >= 0))
);

ALTER TABLE public.integrations_bill ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_bill_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_billclaim (
    id bigint NOT NULL,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    reason character varying(500) NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    decided_by character varying(254) NOT NULL,
    decided_at timestamp with time zone,
    approved boolean,
    bill_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    asked_by_ident character varying(32) NOT NULL,
    decided_by_ident character varying(32) NOT NULL,
    CONSTRAINT claim_by_two_people CHECK (((((decided_by_ident)::text = ''::text) AND (NOT ((decided_by)::text = (asked_by)::text))) OR ((NOT ((decided_by_ident)::text = ''::text)) AND (NOT ((decided_by_ident)::text = (asked_by_ident)::text)))))
);

ALTER TABLE public.integrations_billclaim ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_billclaim_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_billissue (
    id bigint NOT NULL,
    bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    points bigint NOT NULL,
    operation bigint NOT NULL,
    issued_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    bill_id bigint,
    customer_id bigint NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_billissue ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_billissue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_billline (
    id bigint NOT NULL,
    line_no integer NOT NULL,
    line_type character varying(6) NOT NULL,
    item_code character varying(120) NOT NULL,
    department character varying(120) NOT NULL,
    qty numeric(18,4) NOT NULL,
    value numeric(18,4) NOT NULL,
    discount numeric(18,4) NOT NULL,
    amount numeric(18,4) NOT NULL,
    tax_amount numeric(18,4) NOT NULL,
    loyalty_discount numeric(18,4) NOT NULL,
    loyalty_points bigint NOT NULL,
    bill_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    earns boolean NOT NULL,
    CONSTRAINT integrations_billline_line_no_check CHECK ((line_no >= 0))
);

ALTER TABLE public.integrations_billline ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_billline_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_closeddays (
    id bigint NOT NULL,
    through date NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_closeddays ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_closeddays_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_crmbalance (
    id bigint NOT NULL,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    points bigint NOT NULL,
    as_of timestamp with time zone NOT NULL,
    written_by character varying(254) NOT NULL,
    seen_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    customer_id bigint,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_crmbalance ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_crmbalance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_dayend (
    id bigint NOT NULL,
    business_date date NOT NULL,
    bills integer NOT NULL,
    returns integer NOT NULL,
    net_amount numeric(18,4) NOT NULL,
    loyalty_amount numeric(18,4) NOT NULL,
    first_bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    last_bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    settled_at timestamp with time zone NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT integrations_dayend_bills_check CHECK ((bills >= 0)),
    CONSTRAINT integrations_dayend_returns_check CHECK ((returns >= 0))
);

ALTER TABLE public.integrations_dayend ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_dayend_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_delivery (
    id bigint NOT NULL,
    receipt character varying(32) NOT NULL,
    source character varying(8) NOT NULL,
    repush character varying(120) NOT NULL,
    key_id bigint,
    sender character varying(254) NOT NULL,
    body bytea NOT NULL,
    body_hash bytea NOT NULL,
    state character varying(16) NOT NULL,
    check_name character varying(40) NOT NULL,
    message character varying(500) NOT NULL,
    details jsonb NOT NULL,
    attempts integer NOT NULL,
    next_try_at timestamp with time zone,
    received_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    processed_at timestamp with time zone,
    bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    store_code character varying(64) NOT NULL,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    bill_id bigint,
    first_id bigint,
    tenant_id bigint NOT NULL,
    decided jsonb NOT NULL,
    waits_for character varying(120) NOT NULL COLLATE pg_catalog."C",
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    body_gone_at timestamp with time zone,
    body_back_at timestamp with time zone,
    CONSTRAINT delivery_applied_has_bill CHECK (((NOT ((state)::text = 'applied'::text)) OR (bill_id IS NOT NULL))),
    CONSTRAINT delivery_state_known CHECK (((state)::text = ANY (ARRAY[('received'::character varying)::text, ('applied'::character varying)::text, ('duplicate'::character varying)::text, ('conflict'::character varying)::text, ('waiting_parent'::character varying)::text, ('quarantined'::character varying)::text, ('discarded'::character varying)::text, ('reversed'::character varying)::text, ('rejected'::character varying)::text]))),
    CONSTRAINT integrations_delivery_attempts_check CHECK ((attempts >= 0))
);

ALTER TABLE public.integrations_delivery ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_discrepancy (
    id bigint NOT NULL,
    kind character varying(20) NOT NULL,
    points bigint NOT NULL,
    message character varying(500) NOT NULL,
    raised_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    bill_id bigint,
    customer_id bigint,
    hold_id bigint,
    store_id bigint,
    tenant_id bigint NOT NULL,
    incident_id bigint
);

ALTER TABLE public.integrations_discrepancy ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_discrepancy_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_erporder (
    id bigint NOT NULL,
    order_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    amount numeric(18,4) NOT NULL,
    state character varying(9) NOT NULL,
    at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_erporder ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_erporder_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_feedepoch (
    id bigint NOT NULL,
    system character varying(64) NOT NULL,
    stream character varying(16) NOT NULL,
    started_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    resync_below_id bigint NOT NULL,
    resynced_id bigint NOT NULL,
    xid character varying(20) NOT NULL,
    row_id bigint NOT NULL,
    rows bigint NOT NULL,
    moved_at timestamp with time zone,
    checked_at timestamp with time zone
);

ALTER TABLE public.integrations_feedepoch ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_feedepoch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_fileimport (
    id bigint NOT NULL,
    kind character varying(8) NOT NULL,
    name character varying(200) NOT NULL,
    body bytea NOT NULL,
    state character varying(7) NOT NULL,
    last_row integer NOT NULL,
    taken integer NOT NULL,
    refused integer NOT NULL,
    refused_rows jsonb NOT NULL,
    message character varying(500) NOT NULL,
    actor_kind character varying(8) NOT NULL,
    actor_id bigint,
    actor_name character varying(254) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    tenant_id bigint NOT NULL,
    failures smallint NOT NULL,
    CONSTRAINT integrations_fileimport_failures_check CHECK ((failures >= 0)),
    CONSTRAINT integrations_fileimport_last_row_check CHECK ((last_row >= 0)),
    CONSTRAINT integrations_fileimport_refused_check CHECK ((refused >= 0)),
    CONSTRAINT integrations_fileimport_taken_check CHECK ((taken >= 0))
);

ALTER TABLE public.integrations_fileimport ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_fileimport_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_incident (
    id bigint NOT NULL,
    kind character varying(20) NOT NULL,
    bills integer NOT NULL,
    points bigint NOT NULL,
    message character varying(500) NOT NULL,
    opened_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    last_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    closed_at timestamp with time zone,
    first_bill_id bigint,
    store_id bigint,
    tenant_id bigint NOT NULL,
    closed_by character varying(500) DEFAULT ''::character varying NOT NULL,
    cause character varying(40) DEFAULT ''::character varying NOT NULL,
    customers integer DEFAULT 0 NOT NULL,
    CONSTRAINT integrations_incident_bills_check CHECK ((bills >= 0)),
    CONSTRAINT integrations_incident_customers_check CHECK ((customers >= 0))
);

ALTER TABLE public.integrations_incident ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_incident_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_message (
    id bigint NOT NULL,
    channel character varying(8) NOT NULL,
    operation bigint,
    key character varying(300) NOT NULL COLLATE pg_catalog."C",
    subject character varying(200) NOT NULL,
    body text NOT NULL,
    content jsonb NOT NULL,
    state character varying(8) NOT NULL,
    attempts smallint NOT NULL,
    due_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    created_by character varying(254) NOT NULL,
    sent_at timestamp with time zone,
    trouble character varying(300) NOT NULL,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT integrations_message_attempts_check CHECK ((attempts >= 0))
);

ALTER TABLE public.integrations_message ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_message_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_messagesettings (
    id bigint NOT NULL,
    email_when_issued boolean NOT NULL,
    webhook_when_issued boolean NOT NULL,
    subject character varying(120) NOT NULL,
    body text NOT NULL,
    webhook_url character varying(400) NOT NULL,
    webhook_secret character varying(80) NOT NULL,
    quiet_from time without time zone,
    quiet_until time without time zone,
    tenant_id bigint NOT NULL,
    CONSTRAINT quiet_hours_have_two_ends CHECK ((((quiet_from IS NULL) AND (quiet_until IS NULL)) OR ((quiet_from IS NOT NULL) AND (quiet_until IS NOT NULL))))
);

ALTER TABLE public.integrations_messagesettings ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_messagesettings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_parityday (
    id bigint NOT NULL,
    business_date date NOT NULL,
    ok boolean NOT NULL,
    entries bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_parityday ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_parityday_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_parityrun (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    whole boolean NOT NULL,
    ok boolean NOT NULL,
    rows bigint NOT NULL,
    days integer NOT NULL,
    seconds double precision NOT NULL,
    differences jsonb NOT NULL,
    wrong jsonb NOT NULL,
    wrong_count integer NOT NULL,
    xid character varying(20) NOT NULL,
    row_id bigint NOT NULL,
    epoch_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_parityrun ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_parityrun_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_poschange (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    what character varying(500) NOT NULL,
    logged_by character varying(254) NOT NULL,
    logged_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    store_id bigint,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_poschange ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_poschange_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_reconciliationpolicy (
    id bigint NOT NULL,
    name character varying(80) NOT NULL,
    "left" character varying(10) NOT NULL,
    "right" character varying(10) NOT NULL,
    first_day smallint NOT NULL,
    last_day smallint NOT NULL,
    tolerance numeric(18,4) NOT NULL,
    hour smallint NOT NULL,
    is_active boolean NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT integrations_reconciliationpolicy_first_day_check CHECK ((first_day >= 0)),
    CONSTRAINT integrations_reconciliationpolicy_hour_check CHECK ((hour >= 0)),
    CONSTRAINT integrations_reconciliationpolicy_last_day_check CHECK ((last_day >= 0)),
    CONSTRAINT policy_days_in_order CHECK ((first_day >= last_day)),
    CONSTRAINT policy_two_sides CHECK ((NOT (("left")::text = ("right")::text)))
);

ALTER TABLE public.integrations_reconciliationpolicy ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_reconciliationpolicy_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_reconciliationrun (
    id bigint NOT NULL,
    asked_by character varying(254) NOT NULL,
    by_itself boolean NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    state character varying(8) NOT NULL,
    since date NOT NULL,
    until date NOT NULL,
    as_of timestamp with time zone NOT NULL,
    ok boolean,
    left_rows bigint NOT NULL,
    right_rows bigint NOT NULL,
    left_sum numeric(24,4) NOT NULL,
    right_sum numeric(24,4) NOT NULL,
    agreed bigint NOT NULL,
    different bigint NOT NULL,
    left_only bigint NOT NULL,
    right_only bigint NOT NULL,
    untold bigint NOT NULL,
    rows jsonb NOT NULL,
    pattern character varying(10) NOT NULL,
    handoff smallint NOT NULL,
    seconds double precision NOT NULL,
    ended_at timestamp with time zone,
    note character varying(500) NOT NULL,
    policy_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT integrations_reconciliationrun_handoff_check CHECK ((handoff >= 0))
);

ALTER TABLE public.integrations_reconciliationrun ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_reconciliationrun_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_replay (
    id bigint NOT NULL,
    filters jsonb NOT NULL,
    reason character varying(500) NOT NULL,
    actor_kind character varying(8) NOT NULL,
    actor_id bigint,
    actor_name character varying(254) NOT NULL,
    state character varying(10) NOT NULL,
    per_second integer NOT NULL,
    total integer NOT NULL,
    done integer NOT NULL,
    effect jsonb NOT NULL,
    counts jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tried_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    tenant_id bigint NOT NULL,
    left_out integer DEFAULT 0 NOT NULL,
    CONSTRAINT integrations_replay_done_check CHECK ((done >= 0)),
    CONSTRAINT integrations_replay_left_out_check CHECK ((left_out >= 0)),
    CONSTRAINT integrations_replay_per_second_check CHECK ((per_second >= 0)),
    CONSTRAINT integrations_replay_total_check CHECK ((total >= 0))
);

ALTER TABLE public.integrations_replay ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_replay_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_replayrow (
    id bigint NOT NULL,
    place integer NOT NULL,
    "group" character varying(40) NOT NULL COLLATE pg_catalog."C",
    state_before character varying(16) NOT NULL,
    outcome character varying(16) NOT NULL,
    check_name character varying(40) NOT NULL,
    message character varying(500) NOT NULL,
    delivery_id bigint NOT NULL,
    replay_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT integrations_replayrow_place_check CHECK ((place >= 0))
);

ALTER TABLE public.integrations_replayrow ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_replayrow_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_repushline (
    id bigint NOT NULL,
    kind character varying(8) NOT NULL,
    bill_no character varying(120) NOT NULL COLLATE pg_catalog."C",
    business_date date,
    amount numeric(18,4),
    reference character varying(64) NOT NULL,
    why character varying(300) NOT NULL,
    arrived_at timestamp with time zone,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    request_id bigint NOT NULL
);

ALTER TABLE public.integrations_repushline ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_repushline_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_repushrequest (
    id bigint NOT NULL,
    note character varying(500) NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    mailed_to character varying(254) NOT NULL,
    mailed_at timestamp with time zone,
    closed_at timestamp with time zone,
    closed_by character varying(254) NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.integrations_repushrequest ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_repushrequest_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_resync (
    id bigint NOT NULL,
    since date,
    until date,
    state character varying(8) NOT NULL,
    reason character varying(500) NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    months integer[],
    months_done integer NOT NULL,
    rows bigint NOT NULL,
    way character varying(4) NOT NULL,
    seconds double precision NOT NULL,
    ended_at timestamp with time zone,
    note character varying(500) NOT NULL,
    customer_id bigint,
    tenant_id bigint NOT NULL,
    streams character varying(10)[] NOT NULL
);

ALTER TABLE public.integrations_resync ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_resync_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.integrations_returnedpart (
    id bigint NOT NULL,
    line_no integer,
    qty numeric(18,4) NOT NULL,
    amount numeric(18,4) NOT NULL,
    bill_id bigint NOT NULL,
    original_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT integrations_returnedpart_line_no_check CHECK ((line_no >= 0))
);

ALTER TABLE public.integrations_returnedpart ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.integrations_returnedpart_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_auditstep (
    id bigint NOT NULL,
    run character varying(60) NOT NULL,
    step character varying(60) NOT NULL,
    violations bigint NOT NULL,
    rows jsonb NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_auditstep ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_auditstep_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_balance (
    customer_id bigint NOT NULL,
    pending bigint NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL,
    owed bigint NOT NULL,
    entries bigint NOT NULL,
    last_activity_at timestamp with time zone,
    tenant_id bigint NOT NULL,
    moved_to bigint,
    CONSTRAINT balance_buckets_not_negative CHECK (((available >= 0) AND (held >= 0) AND (owed >= 0) AND (pending >= 0))),
    CONSTRAINT balance_owes_or_has CHECK (((owed = 0) OR (available = 0)))
);

CREATE TABLE public.loyalty_bonus (
    id bigint NOT NULL,
    name character varying(120) NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    stores character varying(64)[] NOT NULL,
    points bigint NOT NULL,
    factor numeric(8,4) NOT NULL,
    limit_per_customer integer,
    is_active boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL,
    cohort_id bigint,
    CONSTRAINT bonus_begins_before_it_ends CHECK ((ends_on >= starts_on)),
    CONSTRAINT bonus_gives_one_thing CHECK ((((factor = (0)::numeric) AND (points > 0)) OR ((factor > (0)::numeric) AND (points = 0)))),
    CONSTRAINT loyalty_bonus_limit_per_customer_check CHECK ((limit_per_customer >= 0))
);

ALTER TABLE public.loyalty_bonus ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_bonus_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_bonuscondition (
    id bigint NOT NULL,
    place smallint NOT NULL,
    subject character varying(24) NOT NULL,
    of character varying(120)[] NOT NULL,
    operator character varying(8) NOT NULL,
    wanted character varying(400) NOT NULL,
    bonus_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT loyalty_bonuscondition_place_check CHECK ((place >= 0))
);

ALTER TABLE public.loyalty_bonuscondition ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_bonuscondition_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_bonusevaluation (
    id bigint NOT NULL,
    bill_id bigint,
    operation_key character varying(300) NOT NULL COLLATE pg_catalog."C",
    business_date date NOT NULL,
    awarded boolean NOT NULL,
    points bigint NOT NULL,
    conditions jsonb NOT NULL,
    evaluated_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    bonus_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_bonusevaluation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_bonusevaluation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_cohort (
    id bigint NOT NULL,
    name character varying(120) NOT NULL,
    tiers character varying(40)[] NOT NULL,
    joined_from date,
    joined_until date,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_cohort ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_cohort_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_cohortmember (
    id bigint NOT NULL,
    valid_from date NOT NULL,
    valid_until date,
    cohort_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_cohortmember ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_cohortmember_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_customer (
    id bigint NOT NULL,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    mobile_reversed character varying(16) GENERATED ALWAYS AS (reverse((mobile)::text)) STORED COLLATE pg_catalog."C",
    name character varying(120) NOT NULL,
    email character varying(254) NOT NULL,
    tier character varying(40) NOT NULL,
    status character varying(8) NOT NULL,
    joined_on date,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    merged_into_id bigint,
    takes_messages boolean DEFAULT true NOT NULL,
    tier_changed_at timestamp with time zone,
    CONSTRAINT customer_merged_somewhere CHECK ((((merged_into_id IS NOT NULL) AND ((status)::text = 'merged'::text)) OR ((NOT ((status)::text = 'merged'::text)) AND (merged_into_id IS NULL)))),
    CONSTRAINT customer_mobile_e164 CHECK (((mobile)::text ~ '^\+[1-9][0-9]{6,14}$'::text))
);

ALTER TABLE public.loyalty_customer ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_customer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_customeralias (
    id bigint NOT NULL,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    valid_from timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    valid_until timestamp with time zone,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_customeralias ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_customeralias_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_customermerge (
    id bigint NOT NULL,
    operation bigint,
    lots bigint[] NOT NULL,
    holds bigint[] NOT NULL,
    aliases bigint[] NOT NULL,
    status_before character varying(8) NOT NULL,
    reason character varying(500) NOT NULL,
    actor_name character varying(254) NOT NULL,
    merged_at timestamp with time zone NOT NULL,
    undone_at timestamp with time zone,
    undone_by character varying(254) NOT NULL,
    into_id bigint NOT NULL,
    source_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    memberships bigint[] NOT NULL
);

ALTER TABLE public.loyalty_customermerge ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_customermerge_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_emptyoperation (
    id bigint NOT NULL,
    key character varying(300) NOT NULL COLLATE pg_catalog."C",
    fingerprint bigint NOT NULL,
    pending bigint NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL,
    owed bigint NOT NULL,
    posted_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_emptyoperation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_emptyoperation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_entry (
    id bigint NOT NULL,
    operation bigint NOT NULL,
    seq smallint NOT NULL,
    kind character varying(8) NOT NULL,
    of_kind character varying(8),
    pending bigint NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL,
    owed bigint NOT NULL,
    reason character varying(500) NOT NULL,
    actor_kind character varying(8) NOT NULL,
    actor_id bigint,
    actor_name character varying(254) NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    business_date date NOT NULL,
    posted_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    bill_id bigint,
    job_id bigint,
    snapshot jsonb,
    key character varying(300) NOT NULL COLLATE pg_catalog."C",
    fingerprint bigint NOT NULL,
    customer_id bigint NOT NULL,
    store_id bigint,
    tenant_id bigint NOT NULL,
    hold_id bigint,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    of_entry_id bigint,
    CONSTRAINT entry_debt_kinds CHECK (((owed <= 0) OR ((kind)::text = ANY (ARRAY[('debt'::character varying)::text, ('merge'::character varying)::text])))),
    CONSTRAINT entry_explained CHECK (((NOT ((reason)::text = ''::text)) AND (NOT ((actor_name)::text = ''::text)))),
    CONSTRAINT entry_kind_known CHECK (((kind)::text = ANY (ARRAY[('earn'::character varying)::text, ('bonus'::character varying)::text, ('issue'::character varying)::text, ('activate'::character varying)::text, ('hold'::character varying)::text, ('capture'::character varying)::text, ('release'::character varying)::text, ('redeem'::character varying)::text, ('expire'::character varying)::text, ('extend'::character varying)::text, ('adjust'::character varying)::text, ('reset'::character varying)::text, ('rollback'::character varying)::text, ('debt'::character varying)::text, ('restore'::character varying)::text, ('reversal'::character varying)::text, ('merge'::character varying)::text]))),
    CONSTRAINT entry_not_empty CHECK ((((((kind)::text = 'extend'::text) OR ((of_kind)::text = 'extend'::text)) AND (available = 0) AND (held = 0) AND (owed = 0) AND (pending = 0)) OR ((NOT ((kind)::text = 'extend'::text)) AND (NOT ((available = 0) AND (held = 0) AND (owed = 0) AND (pending = 0)))))),
    CONSTRAINT entry_of_kind CHECK (((((kind)::text = ANY (ARRAY[('debt'::character varying)::text, ('reversal'::character varying)::text])) AND (of_kind IS NOT NULL)) OR ((NOT ((kind)::text = ANY (ARRAY[('debt'::character varying)::text, ('reversal'::character varying)::text]))) AND (of_kind IS NULL))))
);

ALTER TABLE public.loyalty_entry ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_entry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_entrylot (
    id bigint NOT NULL,
    bucket character varying(9) NOT NULL,
    delta bigint NOT NULL,
    debt_id bigint,
    entry_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    lot_id bigint,
    CONSTRAINT movement_not_empty CHECK ((NOT (delta = 0))),
    CONSTRAINT movement_offset_is_available CHECK (((debt_id IS NULL) OR ((bucket)::text = ANY (ARRAY[('available'::character varying)::text, ('owed'::character varying)::text])))),
    CONSTRAINT movement_without_lot_is_of_a_debt CHECK (((((bucket)::text = 'owed'::text) AND (debt_id IS NOT NULL) AND (lot_id IS NULL)) OR ((NOT ((bucket)::text = 'owed'::text)) AND (lot_id IS NOT NULL))))
);

ALTER TABLE public.loyalty_entrylot ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_entrylot_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_hold (
    id bigint NOT NULL,
    reference character varying(64) NOT NULL,
    bill_no character varying(120) NOT NULL,
    points bigint NOT NULL,
    rate numeric(18,4) NOT NULL,
    at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    state character varying(16) NOT NULL,
    ended_at timestamp with time zone,
    ended_by character varying(254) NOT NULL,
    end_reason character varying(500) NOT NULL,
    bill_id bigint,
    late_bill_id bigint,
    late_points bigint NOT NULL,
    fingerprint bigint NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    customer_id bigint NOT NULL,
    store_id bigint,
    tenant_id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT hold_ended_has_time CHECK ((((ended_at IS NULL) AND ((state)::text = 'active'::text)) OR ((NOT ((state)::text = 'active'::text)) AND (ended_at IS NOT NULL)))),
    CONSTRAINT hold_points_positive CHECK ((points > 0)),
    CONSTRAINT hold_state_known CHECK (((state)::text = ANY (ARRAY[('active'::character varying)::text, ('captured'::character varying)::text, ('partly_captured'::character varying)::text, ('released'::character varying)::text, ('expired'::character varying)::text])))
);

ALTER TABLE public.loyalty_hold ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_hold_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_lot (
    entry_id bigint NOT NULL,
    granted_on date NOT NULL,
    activates_on date,
    expires_on date,
    granted bigint NOT NULL,
    pending bigint NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL,
    remaining bigint GENERATED ALWAYS AS (((pending + available) + held)) STORED,
    spent boolean GENERATED ALWAYS AS (((available = 0) AND (held = 0) AND (pending = 0))) STORED,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    granted_until date,
    CONSTRAINT lot_buckets_not_negative CHECK (((available >= 0) AND (granted > 0) AND (held >= 0) AND (pending >= 0)))
);

CREATE TABLE public.loyalty_multiplier (
    id bigint NOT NULL,
    name character varying(120) NOT NULL,
    factor numeric(8,4) NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    departments character varying(120)[] NOT NULL,
    items character varying(120)[] NOT NULL,
    tenant_id bigint NOT NULL,
    version_id bigint NOT NULL,
    CONSTRAINT multiplier_begins_before_it_ends CHECK (((ends_on >= starts_on) AND (factor > (0)::numeric)))
);

ALTER TABLE public.loyalty_multiplier ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_multiplier_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_numbermove (
    id bigint NOT NULL,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    reason character varying(500) NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    decided_by character varying(254) NOT NULL,
    decided_at timestamp with time zone,
    approved boolean,
    new_owner_id bigint,
    old_owner_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    asked_by_ident character varying(32) NOT NULL,
    decided_by_ident character varying(32) NOT NULL,
    CONSTRAINT number_move_by_two_people CHECK (((((decided_by_ident)::text = ''::text) AND (NOT ((decided_by)::text = (asked_by)::text))) OR ((NOT ((decided_by_ident)::text = ''::text)) AND (NOT ((decided_by_ident)::text = (asked_by_ident)::text)))))
);

ALTER TABLE public.loyalty_numbermove ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_numbermove_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_programme (
    id bigint NOT NULL,
    name character varying(120) NOT NULL,
    is_default boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_programme ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_programme_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_programmeversion (
    id bigint NOT NULL,
    version integer NOT NULL,
    effective_from date NOT NULL,
    kind character varying(16) NOT NULL,
    earn_per numeric(18,4) NOT NULL,
    point_value numeric(18,4) NOT NULL,
    hold_days integer NOT NULL,
    validity_days integer NOT NULL,
    pending_days integer NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    programme_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    cap_bill bigint,
    cap_day bigint,
    cap_month bigint,
    departments character varying(120)[] NOT NULL,
    excluded_departments character varying(120)[] NOT NULL,
    excluded_items character varying(120)[] NOT NULL,
    expires_at_month_end boolean NOT NULL,
    items character varying(120)[] NOT NULL,
    minimum_spend numeric(18,4) NOT NULL,
    rounding character varying(8) NOT NULL,
    validity_months integer NOT NULL,
    CONSTRAINT loyalty_programmeversion_hold_days_check CHECK ((hold_days >= 0)),
    CONSTRAINT loyalty_programmeversion_pending_days_check CHECK ((pending_days >= 0)),
    CONSTRAINT loyalty_programmeversion_validity_days_check CHECK ((validity_days >= 0)),
    CONSTRAINT loyalty_programmeversion_validity_months_check CHECK ((validity_months >= 0)),
    CONSTRAINT loyalty_programmeversion_version_check CHECK ((version >= 0)),
    CONSTRAINT programme_rates_positive CHECK (((earn_per > (0)::numeric) AND (point_value > (0)::numeric)))
);

ALTER TABLE public.loyalty_programmeversion ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_programmeversion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_seal (
    id bigint NOT NULL,
    number integer NOT NULL,
    after_id bigint NOT NULL,
    up_to_id bigint NOT NULL,
    row_ids bigint[] CONSTRAINT loyalty_seal_entry_ids_not_null NOT NULL,
    hashes bytea NOT NULL,
    digest bytea NOT NULL,
    sealed_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL,
    content smallint NOT NULL,
    CONSTRAINT loyalty_seal_content_check CHECK ((content >= 0)),
    CONSTRAINT loyalty_seal_number_check CHECK ((number >= 0))
);

ALTER TABLE public.loyalty_seal ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_seal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_sealbound (
    id bigint NOT NULL,
    up_to_id bigint NOT NULL,
    system character varying(40) NOT NULL,
    transaction character varying(24) NOT NULL,
    noted_at timestamp with time zone NOT NULL
);

ALTER TABLE public.loyalty_sealbound ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_sealbound_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.loyalty_storeprogramme (
    id bigint NOT NULL,
    effective_from date NOT NULL,
    programme_id bigint NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.loyalty_storeprogramme ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.loyalty_storeprogramme_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.mfa_authenticator (
    id bigint NOT NULL,
    type character varying(20) NOT NULL,
    data jsonb NOT NULL,
    user_id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone
);

ALTER TABLE public.mfa_authenticator ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.mfa_authenticator_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_alarm (
    id bigint NOT NULL,
    code character varying(16) NOT NULL,
    since timestamp with time zone NOT NULL,
    count bigint NOT NULL,
    told_at timestamp with time zone,
    times_told integer NOT NULL,
    quiet_since timestamp with time zone,
    ended_at timestamp with time zone,
    tenant_id bigint NOT NULL,
    CONSTRAINT support_alarm_times_told_check CHECK ((times_told >= 0))
);

ALTER TABLE public.support_alarm ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_alarm_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_approvalrequest (
    id bigint NOT NULL,
    verb character varying(24) NOT NULL,
    content jsonb NOT NULL,
    words character varying(300) NOT NULL,
    because character varying(300) NOT NULL,
    points bigint NOT NULL,
    before jsonb NOT NULL,
    reason character varying(500) NOT NULL,
    key character varying(300) NOT NULL COLLATE pg_catalog."C",
    state character varying(12) NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_by_ident character varying(32) NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    decided_by character varying(254) NOT NULL,
    decided_by_ident character varying(32) NOT NULL,
    decided_at timestamp with time zone,
    note character varying(500) NOT NULL,
    failure character varying(500) NOT NULL,
    operation bigint,
    done_at timestamp with time zone,
    asked_by_user_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    case_id bigint,
    CONSTRAINT request_by_two_people CHECK ((((state)::text = ANY (ARRAY[('asked'::character varying)::text, ('withdrawn'::character varying)::text])) OR ((NOT ((decided_by_ident)::text = ''::text)) AND (NOT ((decided_by_ident)::text = (asked_by_ident)::text))))),
    CONSTRAINT request_state_known CHECK (((state)::text = ANY (ARRAY[('asked'::character varying)::text, ('approved'::character varying)::text, ('done'::character varying)::text, ('refused'::character varying)::text, ('withdrawn'::character varying)::text])))
);

ALTER TABLE public.support_approvalrequest ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_approvalrequest_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_bulkjob (
    id bigint NOT NULL,
    type character varying(16) NOT NULL,
    state character varying(12) NOT NULL,
    "select" jsonb NOT NULL,
    points bigint,
    until date,
    allow_debt boolean NOT NULL,
    clear_debt boolean NOT NULL,
    dry_run boolean NOT NULL,
    notify boolean NOT NULL,
    spent character varying(8) NOT NULL,
    reason character varying(500) NOT NULL,
    phrase character varying(300) NOT NULL,
    key character varying(300) NOT NULL COLLATE pg_catalog."C",
    fingerprint bigint NOT NULL,
    file_name character varying(200) NOT NULL,
    file_hash character varying(64) NOT NULL,
    body bytea NOT NULL,
    last_line integer NOT NULL,
    lines_refused integer NOT NULL,
    chosen integer NOT NULL,
    count integer NOT NULL,
    sum bigint NOT NULL,
    preview jsonb NOT NULL,
    because character varying(300) NOT NULL,
    rows_per_second integer NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_by_kind character varying(8) NOT NULL,
    asked_by_id bigint,
    confirmed_at timestamp with time zone,
    decided_by character varying(254) NOT NULL,
    decided_by_kind character varying(8) NOT NULL,
    decided_by_id bigint,
    decided_at timestamp with time zone,
    run_by character varying(254) NOT NULL,
    run_by_kind character varying(8) NOT NULL,
    run_by_id bigint,
    message character varying(500) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    started_at timestamp with time zone,
    going_since timestamp with time zone,
    done_before integer NOT NULL,
    finished_at timestamp with time zone,
    mailed_at timestamp with time zone,
    bonus_id bigint,
    of_job_id bigint,
    tenant_id bigint NOT NULL,
    CONSTRAINT bulk_job_by_two_people CHECK ((((decided_by)::text = ''::text) OR (NOT ((decided_by_id = asked_by_id) AND (decided_by_id IS NOT NULL) AND (asked_by_id IS NOT NULL) AND ((decided_by_kind)::text = (asked_by_kind)::text))))),
    CONSTRAINT bulk_job_state_known CHECK (((state)::text = ANY (ARRAY[('reading'::character varying)::text, ('preview'::character varying)::text, ('waiting'::character varying)::text, ('running'::character varying)::text, ('paused'::character varying)::text, ('done'::character varying)::text, ('cancelled'::character varying)::text, ('refused'::character varying)::text])))
);

ALTER TABLE public.support_bulkjob ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_bulkjob_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_bulksettings (
    id bigint NOT NULL,
    customers_alone integer,
    points_alone bigint,
    rows_per_second integer NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.support_bulksettings ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_bulksettings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_case (
    id bigint NOT NULL,
    title character varying(120) NOT NULL,
    topic character varying(12) NOT NULL,
    key character varying(300) NOT NULL COLLATE pg_catalog."C",
    opened_by character varying(254) NOT NULL,
    opened_by_ident character varying(32) NOT NULL,
    opened_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    closed_by character varying(254) NOT NULL,
    closed_at timestamp with time zone,
    outcome character varying(12) NOT NULL,
    customer_id bigint NOT NULL,
    incident_id bigint,
    tenant_id bigint NOT NULL,
    CONSTRAINT case_closed_with_outcome CHECK ((((closed_at IS NULL) AND ((outcome)::text = ''::text)) OR ((closed_at IS NOT NULL) AND (NOT ((outcome)::text = ''::text)))))
);

ALTER TABLE public.support_case ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_case_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_dayofwork (
    id bigint NOT NULL,
    day date NOT NULL,
    points bigint NOT NULL,
    tenant_id bigint NOT NULL,
    user_id bigint NOT NULL
);

ALTER TABLE public.support_dayofwork ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_dayofwork_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_erasure (
    id bigint NOT NULL,
    sought jsonb NOT NULL,
    reason character varying(500) NOT NULL,
    asked_by character varying(254) NOT NULL,
    asked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    masked jsonb NOT NULL,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.support_erasure ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_erasure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_jobblock (
    id bigint NOT NULL,
    number integer NOT NULL,
    customers bigint[] NOT NULL,
    versions bigint[] NOT NULL,
    available bigint[] NOT NULL,
    owed bigint[] NOT NULL,
    points bigint[] NOT NULL,
    reasons character varying(500)[] NOT NULL,
    lines integer[] NOT NULL,
    undoes bigint[] NOT NULL,
    size integer NOT NULL,
    settled integer NOT NULL,
    operations bigint[] NOT NULL,
    moved bigint[] NOT NULL,
    done integer NOT NULL,
    skipped integer NOT NULL,
    failed integer NOT NULL,
    changed integer NOT NULL,
    sum bigint NOT NULL,
    job_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT job_block_adds_up CHECK (((settled = ((done + skipped) + failed)) AND (settled <= size)))
);

ALTER TABLE public.support_jobblock ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_jobblock_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_jobrow (
    id bigint NOT NULL,
    outcome character varying(8) NOT NULL,
    code character varying(40) NOT NULL,
    sentence character varying(500) NOT NULL,
    points bigint,
    line integer,
    mobile character varying(16) NOT NULL COLLATE pg_catalog."C",
    given jsonb NOT NULL,
    customer_id bigint,
    job_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.support_jobrow ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_jobrow_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_measurement (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    figures jsonb NOT NULL
);

ALTER TABLE public.support_measurement ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_measurement_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_note (
    id bigint NOT NULL,
    kind character varying(8) NOT NULL,
    text character varying(2000) NOT NULL,
    link_kind character varying(16) NOT NULL,
    link_id bigint,
    link_name character varying(120) NOT NULL,
    author character varying(254) NOT NULL,
    author_ident character varying(32) NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    case_id bigint,
    customer_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.support_note ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_note_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_pointslimit (
    id bigint NOT NULL,
    role character varying(12) NOT NULL,
    an_act bigint,
    a_day bigint,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.support_pointslimit ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_pointslimit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_savedview (
    id bigint NOT NULL,
    name character varying(60) NOT NULL,
    query character varying(1000) NOT NULL,
    for_all boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    owner_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    page character varying(16) NOT NULL
);

ALTER TABLE public.support_savedview ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_savedview_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.support_topiccontact (
    id bigint NOT NULL,
    topic character varying(12) NOT NULL,
    name character varying(120) NOT NULL,
    email character varying(254) NOT NULL,
    phone character varying(40) NOT NULL,
    hint character varying(200) NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.support_topiccontact ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.support_topiccontact_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_apikey (
    id bigint NOT NULL,
    name character varying(120) NOT NULL,
    prefix character varying(16) NOT NULL,
    secret_hash character varying(64) NOT NULL,
    scopes character varying(16)[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    tenant_id bigint NOT NULL,
    calls_a_minute integer NOT NULL,
    CONSTRAINT tenants_apikey_calls_a_minute_check CHECK ((calls_a_minute >= 0))
);

ALTER TABLE public.tenants_apikey ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_apikey_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_auditevent (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor_kind character varying(8) NOT NULL,
    actor_id bigint,
    actor_name character varying(254) NOT NULL,
    action character varying(64) NOT NULL,
    object_type character varying(64) NOT NULL,
    object_id character varying(64) NOT NULL,
    reason character varying(500) NOT NULL,
    before jsonb,
    after jsonb,
    address inet,
    request_id character varying(64) NOT NULL,
    tenant_id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id()
);

ALTER TABLE public.tenants_auditevent ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_auditevent_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_auditseal (
    id bigint NOT NULL,
    number integer NOT NULL,
    content smallint NOT NULL,
    after_id bigint NOT NULL,
    up_to_id bigint NOT NULL,
    row_ids bigint[] NOT NULL,
    hashes bytea NOT NULL,
    digest bytea NOT NULL,
    sealed_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    tenant_id bigint NOT NULL,
    CONSTRAINT tenants_auditseal_content_check CHECK ((content >= 0)),
    CONSTRAINT tenants_auditseal_number_check CHECK ((number >= 0))
);

ALTER TABLE public.tenants_auditseal ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_auditseal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_auditsealbound (
    id bigint NOT NULL,
    up_to_id bigint NOT NULL,
    system character varying(40) NOT NULL,
    transaction character varying(24) NOT NULL,
    noted_at timestamp with time zone NOT NULL
);

ALTER TABLE public.tenants_auditsealbound ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_auditsealbound_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_heartbeat (
    process character varying(120) NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE public.tenants_membership (
    id bigint NOT NULL,
    role character varying(12) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    user_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    mobile character varying(16) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE public.tenants_membership ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_membership_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_scheduledrun (
    id bigint NOT NULL,
    job character varying(64) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    done bigint NOT NULL,
    failed bigint NOT NULL,
    idle_runs integer NOT NULL,
    error text NOT NULL,
    process character varying(120) NOT NULL,
    CONSTRAINT tenants_scheduledrun_idle_runs_check CHECK ((idle_runs >= 0))
);

ALTER TABLE public.tenants_scheduledrun ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_scheduledrun_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_signingsecret (
    id bigint NOT NULL,
    secret character varying(80) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.tenants_signingsecret ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_signingsecret_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_store (
    id bigint NOT NULL,
    code character varying(64) NOT NULL,
    name character varying(120) NOT NULL,
    timezone character varying(64) NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.tenants_store ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_store_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_storealias (
    id bigint NOT NULL,
    code character varying(64) NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.tenants_storealias ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_storealias_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_storemode (
    id bigint NOT NULL,
    mode character varying(8) NOT NULL,
    effective_from date NOT NULL,
    store_id bigint NOT NULL,
    tenant_id bigint NOT NULL
);

ALTER TABLE public.tenants_storemode ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_storemode_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_tenant (
    id bigint NOT NULL,
    slug character varying(63) NOT NULL,
    name character varying(120) NOT NULL,
    business_id character varying(64) NOT NULL,
    timezone character varying(64) NOT NULL,
    currency character varying(3) NOT NULL,
    region character varying(2) NOT NULL,
    negative_allowed boolean NOT NULL,
    date_window_days integer NOT NULL,
    bill_scope character varying(8) NOT NULL,
    bill_period character varying(16) NOT NULL,
    default_mode character varying(8) NOT NULL,
    require_hold boolean NOT NULL,
    auto_stores boolean NOT NULL,
    lenient_numbers boolean NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    bonus_reevaluated boolean NOT NULL,
    claim_days integer NOT NULL,
    signatures_required boolean NOT NULL,
    agents_need_second_factor boolean DEFAULT false NOT NULL,
    audit_email character varying(254) DEFAULT ''::character varying NOT NULL,
    messages_gone_until timestamp with time zone,
    messages_kept_days integer,
    CONSTRAINT tenants_tenant_claim_days_check CHECK ((claim_days >= 0)),
    CONSTRAINT tenants_tenant_date_window_days_check CHECK ((date_window_days >= 0)),
    CONSTRAINT tenants_tenant_messages_kept_days_check CHECK ((messages_kept_days >= 0))
);

ALTER TABLE public.tenants_tenant ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_tenant_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_user (
    id bigint NOT NULL,
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    email character varying(254) NOT NULL,
    name character varying(120) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL,
    factors_changed integer DEFAULT 0 NOT NULL,
    must_change_password boolean DEFAULT false NOT NULL,
    CONSTRAINT tenants_user_factors_changed_check CHECK ((factors_changed >= 0))
);

CREATE TABLE public.tenants_user_groups (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    group_id integer NOT NULL
);

ALTER TABLE public.tenants_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.tenants_user ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_user_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_user_user_permissions (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.tenants_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.account_emailaddress
    ADD CONSTRAINT account_emailaddress_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account_emailaddress
    ADD CONSTRAINT account_emailaddress_user_id_email_987c8728_uniq UNIQUE (user_id, email);

ALTER TABLE ONLY public.account_emailconfirmation
    ADD CONSTRAINT account_emailconfirmation_key_key UNIQUE (key);

ALTER TABLE ONLY public.account_emailconfirmation
    ADD CONSTRAINT account_emailconfirmation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_storealias
    ADD CONSTRAINT alias_code_once UNIQUE (tenant_id, code);

ALTER TABLE public.tenants_auditevent
    ADD CONSTRAINT audit_at_some_time CHECK (isfinite(at)) NOT VALID;

ALTER TABLE ONLY public.tenants_auditseal
    ADD CONSTRAINT audit_seal_number_once UNIQUE (tenant_id, number);

ALTER TABLE ONLY public.loyalty_auditstep
    ADD CONSTRAINT audit_step_once UNIQUE (tenant_id, run, step);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.axes_accessattempt
    ADD CONSTRAINT axes_accessattempt_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.axes_accessattempt
    ADD CONSTRAINT axes_accessattempt_username_ip_address_user_agent_8ea22282_uniq UNIQUE (username, ip_address, user_agent);

ALTER TABLE ONLY public.axes_accessattemptexpiration
    ADD CONSTRAINT axes_accessattemptexpiration_pkey PRIMARY KEY (access_attempt_id);

ALTER TABLE ONLY public.axes_accessfailurelog
    ADD CONSTRAINT axes_accessfailurelog_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.axes_accesslog
    ADD CONSTRAINT axes_accesslog_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_billissue
    ADD CONSTRAINT bill_issue_once UNIQUE (tenant_id, operation);

ALTER TABLE ONLY public.loyalty_bonusevaluation
    ADD CONSTRAINT bill_judged_once_by_a_bonus UNIQUE (tenant_id, customer_id, operation_key, bonus_id);

ALTER TABLE ONLY public.integrations_billline
    ADD CONSTRAINT bill_line_once UNIQUE (tenant_id, bill_id, line_no);

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT bill_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.loyalty_bonus
    ADD CONSTRAINT bonus_name_once UNIQUE (tenant_id, name);

ALTER TABLE ONLY public.loyalty_bonus
    ADD CONSTRAINT bonus_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.support_bulkjob
    ADD CONSTRAINT bulk_job_once_a_key UNIQUE (tenant_id, key);

ALTER TABLE ONLY public.support_bulkjob
    ADD CONSTRAINT bulk_job_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.support_case
    ADD CONSTRAINT case_once_a_key UNIQUE (tenant_id, key);

ALTER TABLE ONLY public.support_case
    ADD CONSTRAINT case_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.loyalty_cohortmember
    ADD CONSTRAINT cohort_member_once UNIQUE (tenant_id, customer_id, cohort_id, valid_from);

ALTER TABLE ONLY public.loyalty_cohort
    ADD CONSTRAINT cohort_name_once UNIQUE (tenant_id, name);

ALTER TABLE ONLY public.loyalty_cohort
    ADD CONSTRAINT cohort_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.integrations_crmbalance
    ADD CONSTRAINT crm_balance_once UNIQUE (tenant_id, mobile, as_of, written_by);

ALTER TABLE ONLY public.loyalty_customer
    ADD CONSTRAINT customer_mobile_once UNIQUE (tenant_id, mobile);

ALTER TABLE ONLY public.loyalty_customer
    ADD CONSTRAINT customer_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.integrations_dayend
    ADD CONSTRAINT day_end_once UNIQUE (tenant_id, store_id, business_date);

ALTER TABLE ONLY public.integrations_delivery
    ADD CONSTRAINT delivery_body_once UNIQUE (tenant_id, body_hash);

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);

ALTER TABLE ONLY public.loyalty_emptyoperation
    ADD CONSTRAINT empty_operation_once UNIQUE (tenant_id, key);

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT entry_key_once UNIQUE (tenant_id, key, seq);

ALTER TABLE ONLY public.support_erasure
    ADD CONSTRAINT erased_once UNIQUE (tenant_id, customer_id);

ALTER TABLE ONLY public.integrations_erporder
    ADD CONSTRAINT erp_order_once UNIQUE (tenant_id, order_no);

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT hold_reference_once UNIQUE (tenant_id, reference);

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT hold_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.integrations_incident
    ADD CONSTRAINT incident_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_billclaim
    ADD CONSTRAINT integrations_billclaim_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_billissue
    ADD CONSTRAINT integrations_billissue_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_billline
    ADD CONSTRAINT integrations_billline_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_closeddays
    ADD CONSTRAINT integrations_closeddays_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_closeddays
    ADD CONSTRAINT integrations_closeddays_tenant_id_key UNIQUE (tenant_id);

ALTER TABLE ONLY public.integrations_crmbalance
    ADD CONSTRAINT integrations_crmbalance_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_dayend
    ADD CONSTRAINT integrations_dayend_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_delivery
    ADD CONSTRAINT integrations_delivery_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_delivery
    ADD CONSTRAINT integrations_delivery_receipt_key UNIQUE (receipt);

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrepancy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_erporder
    ADD CONSTRAINT integrations_erporder_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_feedepoch
    ADD CONSTRAINT integrations_feedepoch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_fileimport
    ADD CONSTRAINT integrations_fileimport_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_incident
    ADD CONSTRAINT integrations_incident_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_message
    ADD CONSTRAINT integrations_message_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_messagesettings
    ADD CONSTRAINT integrations_messagesettings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_messagesettings
    ADD CONSTRAINT integrations_messagesettings_tenant_id_key UNIQUE (tenant_id);

ALTER TABLE ONLY public.integrations_parityday
    ADD CONSTRAINT integrations_parityday_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_parityrun
    ADD CONSTRAINT integrations_parityrun_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_poschange
    ADD CONSTRAINT integrations_poschange_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_reconciliationpolicy
    ADD CONSTRAINT integrations_reconciliationpolicy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_reconciliationrun
    ADD CONSTRAINT integrations_reconciliationrun_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_replay
    ADD CONSTRAINT integrations_replay_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_replayrow
    ADD CONSTRAINT integrations_replayrow_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_repushline
    ADD CONSTRAINT integrations_repushline_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_repushrequest
    ADD CONSTRAINT integrations_repushrequest_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_resync
    ADD CONSTRAINT integrations_resync_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_returnedpart
    ADD CONSTRAINT integrations_returnedpart_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_jobblock
    ADD CONSTRAINT job_block_once UNIQUE (tenant_id, job_id, number);

ALTER TABLE ONLY public.loyalty_auditstep
    ADD CONSTRAINT loyalty_auditstep_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_balance
    ADD CONSTRAINT loyalty_balance_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.loyalty_bonus
    ADD CONSTRAINT loyalty_bonus_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_bonuscondition
    ADD CONSTRAINT loyalty_bonuscondition_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_bonusevaluation
    ADD CONSTRAINT loyalty_bonusevaluation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_cohort
    ADD CONSTRAINT loyalty_cohort_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_cohortmember
    ADD CONSTRAINT loyalty_cohortmember_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_customer
    ADD CONSTRAINT loyalty_customer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_customeralias
    ADD CONSTRAINT loyalty_customeralias_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_customermerge
    ADD CONSTRAINT loyalty_customermerge_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_emptyoperation
    ADD CONSTRAINT loyalty_emptyoperation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_entrylot
    ADD CONSTRAINT loyalty_entrylot_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT loyalty_hold_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_lot
    ADD CONSTRAINT loyalty_lot_pkey PRIMARY KEY (entry_id);

ALTER TABLE ONLY public.loyalty_multiplier
    ADD CONSTRAINT loyalty_multiplier_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_numbermove
    ADD CONSTRAINT loyalty_numbermove_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_programme
    ADD CONSTRAINT loyalty_programme_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_programmeversion
    ADD CONSTRAINT loyalty_programmeversion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_seal
    ADD CONSTRAINT loyalty_seal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_sealbound
    ADD CONSTRAINT loyalty_sealbound_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.loyalty_storeprogramme
    ADD CONSTRAINT loyalty_storeprogramme_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.integrations_message
    ADD CONSTRAINT message_once UNIQUE (tenant_id, key, channel);

ALTER TABLE ONLY public.mfa_authenticator
    ADD CONSTRAINT mfa_authenticator_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_topiccontact
    ADD CONSTRAINT one_contact_a_topic UNIQUE (tenant_id, topic);

ALTER TABLE ONLY public.integrations_feedepoch
    ADD CONSTRAINT one_epoch_a_stream UNIQUE (system, stream);

ALTER TABLE ONLY public.support_pointslimit
    ADD CONSTRAINT one_limit_a_role UNIQUE (tenant_id, role);

ALTER TABLE ONLY public.tenants_storemode
    ADD CONSTRAINT one_mode_a_day UNIQUE (tenant_id, store_id, effective_from);

ALTER TABLE ONLY public.loyalty_storeprogramme
    ADD CONSTRAINT one_programme_a_store_a_day UNIQUE (tenant_id, store_id, effective_from);

ALTER TABLE ONLY public.tenants_membership
    ADD CONSTRAINT one_role_a_tenant UNIQUE (tenant_id, user_id);

ALTER TABLE ONLY public.support_dayofwork
    ADD CONSTRAINT one_row_a_day_of_work UNIQUE (tenant_id, user_id, day);

ALTER TABLE ONLY public.integrations_parityday
    ADD CONSTRAINT parity_once_a_day UNIQUE (tenant_id, business_date);

ALTER TABLE ONLY public.integrations_reconciliationpolicy
    ADD CONSTRAINT policy_name_once UNIQUE (tenant_id, name);

ALTER TABLE ONLY public.integrations_reconciliationpolicy
    ADD CONSTRAINT policy_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.loyalty_programme
    ADD CONSTRAINT programme_name_once UNIQUE (tenant_id, name);

ALTER TABLE ONLY public.loyalty_programmeversion
    ADD CONSTRAINT programme_version_once UNIQUE (tenant_id, programme_id, version);

ALTER TABLE ONLY public.loyalty_programmeversion
    ADD CONSTRAINT programme_version_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.loyalty_programme
    ADD CONSTRAINT programme_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.integrations_replayrow
    ADD CONSTRAINT replay_row_once UNIQUE (tenant_id, replay_id, place);

ALTER TABLE ONLY public.integrations_replay
    ADD CONSTRAINT replay_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.integrations_repushrequest
    ADD CONSTRAINT repush_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.support_approvalrequest
    ADD CONSTRAINT request_once_a_key UNIQUE (tenant_id, key);

ALTER TABLE ONLY public.support_savedview
    ADD CONSTRAINT saved_view_once_a_page UNIQUE (tenant_id, owner_id, page, name);

ALTER TABLE ONLY public.loyalty_seal
    ADD CONSTRAINT seal_number_once UNIQUE (tenant_id, number);

ALTER TABLE ONLY public.tenants_store
    ADD CONSTRAINT store_code_once UNIQUE (tenant_id, code);

ALTER TABLE ONLY public.tenants_store
    ADD CONSTRAINT store_wall UNIQUE (tenant_id, id);

ALTER TABLE ONLY public.support_alarm
    ADD CONSTRAINT support_alarm_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_approvalrequest
    ADD CONSTRAINT support_approvalrequest_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_bulkjob
    ADD CONSTRAINT support_bulkjob_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_bulksettings
    ADD CONSTRAINT support_bulksettings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_bulksettings
    ADD CONSTRAINT support_bulksettings_tenant_id_key UNIQUE (tenant_id);

ALTER TABLE ONLY public.support_case
    ADD CONSTRAINT support_case_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_dayofwork
    ADD CONSTRAINT support_dayofwork_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_erasure
    ADD CONSTRAINT support_erasure_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_jobblock
    ADD CONSTRAINT support_jobblock_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_jobrow
    ADD CONSTRAINT support_jobrow_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_measurement
    ADD CONSTRAINT support_measurement_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_note
    ADD CONSTRAINT support_note_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_pointslimit
    ADD CONSTRAINT support_pointslimit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_savedview
    ADD CONSTRAINT support_savedview_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.support_topiccontact
    ADD CONSTRAINT support_topiccontact_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_apikey
    ADD CONSTRAINT tenants_apikey_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_apikey
    ADD CONSTRAINT tenants_apikey_prefix_key UNIQUE (prefix);

ALTER TABLE ONLY public.tenants_auditevent
    ADD CONSTRAINT tenants_auditevent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_auditseal
    ADD CONSTRAINT tenants_auditseal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_auditsealbound
    ADD CONSTRAINT tenants_auditsealbound_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_heartbeat
    ADD CONSTRAINT tenants_heartbeat_pkey PRIMARY KEY (process);

ALTER TABLE ONLY public.tenants_membership
    ADD CONSTRAINT tenants_membership_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_scheduledrun
    ADD CONSTRAINT tenants_scheduledrun_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_signingsecret
    ADD CONSTRAINT tenants_signingsecret_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_store
    ADD CONSTRAINT tenants_store_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_storealias
    ADD CONSTRAINT tenants_storealias_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_storemode
    ADD CONSTRAINT tenants_storemode_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_tenant
    ADD CONSTRAINT tenants_tenant_business_id_key UNIQUE (business_id);

ALTER TABLE ONLY public.tenants_tenant
    ADD CONSTRAINT tenants_tenant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_tenant
    ADD CONSTRAINT tenants_tenant_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.tenants_user
    ADD CONSTRAINT tenants_user_email_key UNIQUE (email);

ALTER TABLE ONLY public.tenants_user_groups
    ADD CONSTRAINT tenants_user_groups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_user_groups
    ADD CONSTRAINT tenants_user_groups_user_id_group_id_ef9ea837_uniq UNIQUE (user_id, group_id);

ALTER TABLE ONLY public.tenants_user
    ADD CONSTRAINT tenants_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_user_user_permissions
    ADD CONSTRAINT tenants_user_user_permis_user_id_permission_id_e7cb44b9_uniq UNIQUE (user_id, permission_id);

ALTER TABLE ONLY public.tenants_user_user_permissions
    ADD CONSTRAINT tenants_user_user_permissions_pkey PRIMARY KEY (id);

CREATE INDEX account_emailaddress_email_03be32b2 ON public.account_emailaddress USING btree (email);

CREATE INDEX account_emailaddress_email_03be32b2_like ON public.account_emailaddress USING btree (email varchar_pattern_ops);

CREATE INDEX account_emailaddress_user_id_2c513194 ON public.account_emailaddress USING btree (user_id);

CREATE INDEX account_emailconfirmation_email_address_id_5b7f8c58 ON public.account_emailconfirmation USING btree (email_address_id);

CREATE INDEX account_emailconfirmation_key_f43612bd_like ON public.account_emailconfirmation USING btree (key varchar_pattern_ops);

CREATE INDEX audit_newest ON public.tenants_auditevent USING btree (tenant_id, id DESC);

CREATE INDEX audit_of_actor ON public.tenants_auditevent USING btree (tenant_id, actor_id, at);

CREATE INDEX audit_of_object ON public.tenants_auditevent USING btree (tenant_id, object_type, object_id);

CREATE INDEX audit_of_time ON public.tenants_auditevent USING btree (tenant_id, at);

CREATE INDEX audit_of_transaction ON public.tenants_auditevent USING btree (tenant_id, xid);

CREATE INDEX auth_group_name_a6ea08ec_like ON public.auth_group USING btree (name varchar_pattern_ops);

CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON public.auth_group_permissions USING btree (group_id);

CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON public.auth_group_permissions USING btree (permission_id);

CREATE INDEX auth_permission_content_type_id_2f476e4b ON public.auth_permission USING btree (content_type_id);

CREATE INDEX axes_accessattempt_ip_address_10922d9c ON public.axes_accessattempt USING btree (ip_address);

CREATE INDEX axes_accessattempt_user_agent_ad89678b ON public.axes_accessattempt USING btree (user_agent);

CREATE INDEX axes_accessattempt_user_agent_ad89678b_like ON public.axes_accessattempt USING btree (user_agent varchar_pattern_ops);

CREATE INDEX axes_accessattempt_username_3f2d4ca0 ON public.axes_accessattempt USING btree (username);

CREATE INDEX axes_accessattempt_username_3f2d4ca0_like ON public.axes_accessattempt USING btree (username varchar_pattern_ops);

CREATE INDEX axes_accessfailurelog_ip_address_2e9f5a7f ON public.axes_accessfailurelog USING btree (ip_address);

CREATE INDEX axes_accessfailurelog_user_agent_ea145dda ON public.axes_accessfailurelog USING btree (user_agent);

CREATE INDEX axes_accessfailurelog_user_agent_ea145dda_like ON public.axes_accessfailurelog USING btree (user_agent varchar_pattern_ops);

CREATE INDEX axes_accessfailurelog_username_a8b7e8a4 ON public.axes_accessfailurelog USING btree (username);

CREATE INDEX axes_accessfailurelog_username_a8b7e8a4_like ON public.axes_accessfailurelog USING btree (username varchar_pattern_ops);

CREATE INDEX axes_accesslog_ip_address_86b417e5 ON public.axes_accesslog USING btree (ip_address);

CREATE INDEX axes_accesslog_user_agent_0e659004 ON public.axes_accesslog USING btree (user_agent);

CREATE INDEX axes_accesslog_user_agent_0e659004_like ON public.axes_accesslog USING btree (user_agent varchar_pattern_ops);

CREATE INDEX axes_accesslog_username_df93064b ON public.axes_accesslog USING btree (username);

CREATE INDEX axes_accesslog_username_df93064b_like ON public.axes_accesslog USING btree (username varchar_pattern_ops);

CREATE INDEX bill_by_number ON public.integrations_bill USING btree (tenant_id, bill_no);

CREATE INDEX bill_feed ON public.integrations_bill USING btree (xid, id);

CREATE INDEX bill_issue_of_bill ON public.integrations_billissue USING btree (tenant_id, bill_id) WHERE (bill_id IS NOT NULL);

CREATE INDEX bill_issue_of_customer ON public.integrations_billissue USING btree (tenant_id, customer_id);

CREATE UNIQUE INDEX bill_natural_key_once ON public.integrations_bill USING btree (tenant_id, store_id, bill_no, bill_class, period, till) WHERE (superseded_at IS NULL);

CREATE INDEX bill_of_customer ON public.integrations_bill USING btree (tenant_id, customer_id, billed_at DESC);

CREATE INDEX bill_of_parent ON public.integrations_bill USING btree (tenant_id, parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX bill_of_store_day ON public.integrations_bill USING btree (tenant_id, store_id, business_date);

CREATE INDEX bulk_job_at_work ON public.support_bulkjob USING btree (id) WHERE ((state)::text = ANY (ARRAY[('reading'::character varying)::text, ('preview'::character varying)::text, ('waiting'::character varying)::text, ('running'::character varying)::text]));

CREATE INDEX bulk_job_of_file ON public.support_bulkjob USING btree (tenant_id, file_hash) WHERE (NOT ((file_hash)::text = ''::text));

CREATE INDEX bulk_job_of_tenant ON public.support_bulkjob USING btree (tenant_id, id DESC);

CREATE UNIQUE INDEX bulk_job_undone_once ON public.support_bulkjob USING btree (tenant_id, of_job_id) WHERE ((NOT dry_run) AND ((type)::text = 'undo'::text) AND (NOT ((state)::text = ANY (ARRAY[('preview'::character varying)::text, ('cancelled'::character varying)::text, ('refused'::character varying)::text]))));

CREATE INDEX case_of_customer ON public.support_case USING btree (tenant_id, customer_id, id DESC);

CREATE INDEX case_open ON public.support_case USING btree (tenant_id, id DESC) WHERE (closed_at IS NULL);

CREATE INDEX crm_balance_of_customer ON public.integrations_crmbalance USING btree (tenant_id, customer_id, as_of DESC);

CREATE INDEX customer_by_email ON public.loyalty_customer USING gin (upper((email)::text) public.gin_trgm_ops);

CREATE INDEX customer_by_last_digits ON public.loyalty_customer USING btree (tenant_id, mobile_reversed);

CREATE INDEX customer_by_name ON public.loyalty_customer USING gin (upper((name)::text) public.gin_trgm_ops);

CREATE INDEX customer_feed ON public.loyalty_customer USING btree (xid, id);

CREATE INDEX customer_merged ON public.loyalty_customer USING btree (tenant_id, merged_into_id) WHERE (merged_into_id IS NOT NULL);

CREATE INDEX delivery_by_bill_no ON public.integrations_delivery USING btree (tenant_id, bill_no);

CREATE INDEX delivery_by_end ON public.integrations_delivery USING btree (tenant_id, processed_at);

CREATE INDEX delivery_by_mobile ON public.integrations_delivery USING btree (tenant_id, mobile, id DESC) WHERE (NOT ((mobile)::text = ''::text));

CREATE INDEX delivery_by_state ON public.integrations_delivery USING btree (tenant_id, state, id DESC);

CREATE INDEX delivery_feed ON public.integrations_delivery USING btree (xid, id);

CREATE INDEX delivery_for_people ON public.integrations_delivery USING btree (tenant_id, state, store_code, received_at) WHERE ((state)::text = ANY (ARRAY[('waiting_parent'::character varying)::text, ('quarantined'::character varying)::text, ('conflict'::character varying)::text]));

CREATE INDEX delivery_of_bill ON public.integrations_delivery USING btree (tenant_id, bill_id) WHERE (bill_id IS NOT NULL);

CREATE INDEX delivery_put_back ON public.integrations_delivery USING btree (tenant_id, body_back_at) WHERE (body_back_at IS NOT NULL);

CREATE INDEX delivery_to_process ON public.integrations_delivery USING btree (tenant_id, id) WHERE ((state)::text = 'received'::text);

CREATE INDEX delivery_waiting ON public.integrations_delivery USING btree (tenant_id, waits_for) WHERE ((state)::text = 'waiting_parent'::text);

CREATE INDEX discrepancy_by_kind ON public.integrations_discrepancy USING btree (tenant_id, kind, id DESC);

CREATE INDEX discrepancy_of_bill ON public.integrations_discrepancy USING btree (tenant_id, bill_id) WHERE (bill_id IS NOT NULL);

CREATE INDEX discrepancy_of_incident ON public.integrations_discrepancy USING btree (tenant_id, incident_id) WHERE (incident_id IS NOT NULL);

CREATE INDEX django_admin_log_content_type_id_c4bce8eb ON public.django_admin_log USING btree (content_type_id);

CREATE INDEX django_admin_log_user_id_c564eba6 ON public.django_admin_log USING btree (user_id);

CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date);

CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree (session_key varchar_pattern_ops);

CREATE INDEX entry_by_hand ON public.loyalty_entry USING btree (tenant_id, posted_at DESC) WHERE ((actor_kind)::text = 'person'::text);

CREATE INDEX entry_by_kind ON public.loyalty_entry USING btree (tenant_id, kind, id DESC) WHERE (NOT ((kind)::text = 'earn'::text));

CREATE INDEX entry_feed ON public.loyalty_entry USING btree (xid, id);

CREATE INDEX entry_of_bill ON public.loyalty_entry USING btree (tenant_id, bill_id) WHERE (bill_id IS NOT NULL);

CREATE INDEX entry_of_customer ON public.loyalty_entry USING btree (tenant_id, customer_id, id DESC);

CREATE INDEX entry_of_day ON public.loyalty_entry USING btree (tenant_id, business_date);

CREATE INDEX entry_of_debt ON public.loyalty_entry USING btree (tenant_id, customer_id) WHERE (owed > 0);

CREATE INDEX entry_of_extension ON public.loyalty_entry USING btree (tenant_id, customer_id) WHERE (((kind)::text = 'extend'::text) OR ((of_kind)::text = 'extend'::text));

CREATE INDEX entry_of_hold ON public.loyalty_entry USING btree (tenant_id, hold_id) WHERE (hold_id IS NOT NULL);

CREATE INDEX entry_of_tenant ON public.loyalty_entry USING btree (tenant_id, id DESC);

CREATE INDEX entry_undone_by ON public.loyalty_entry USING btree (of_entry_id) WHERE (of_entry_id IS NOT NULL);

CREATE INDEX erp_order_by_bill ON public.integrations_erporder USING btree (tenant_id, store_id, bill_no);

CREATE INDEX erp_order_by_mobile ON public.integrations_erporder USING btree (tenant_id, mobile, at DESC) WHERE (NOT ((mobile)::text = ''::text));

CREATE INDEX erp_order_by_time ON public.integrations_erporder USING btree (tenant_id, at);

CREATE INDEX evaluation_of_bill ON public.loyalty_bonusevaluation USING btree (tenant_id, bill_id) WHERE (bill_id IS NOT NULL);

CREATE INDEX evaluation_of_bonus ON public.loyalty_bonusevaluation USING btree (tenant_id, bonus_id, id DESC);

CREATE INDEX file_to_read ON public.integrations_fileimport USING btree (id) WHERE ((state)::text = ANY (ARRAY[('waiting'::character varying)::text, ('running'::character varying)::text]));

CREATE INDEX hold_by_bill_no ON public.loyalty_hold USING btree (tenant_id, store_id, bill_no) WHERE (NOT ((bill_no)::text = ''::text));

CREATE INDEX hold_feed ON public.loyalty_hold USING btree (xid, id);

CREATE INDEX hold_freed_at_store ON public.loyalty_hold USING btree (tenant_id, store_id, id DESC) WHERE ((state)::text = ANY (ARRAY[('released'::character varying)::text, ('expired'::character varying)::text]));

CREATE INDEX hold_of_customer ON public.loyalty_hold USING btree (tenant_id, customer_id, id DESC);

CREATE INDEX hold_to_expire ON public.loyalty_hold USING btree (tenant_id, expires_at) WHERE ((state)::text = 'active'::text);

CREATE INDEX integrations_delivery_receipt_f2879ecb_like ON public.integrations_delivery USING btree (receipt varchar_pattern_ops);

CREATE INDEX job_row_of_customer ON public.support_jobrow USING btree (tenant_id, customer_id) WHERE (customer_id IS NOT NULL);

CREATE INDEX job_row_of_job ON public.support_jobrow USING btree (tenant_id, job_id, id);

CREATE INDEX job_row_of_mobile ON public.support_jobrow USING btree (tenant_id, mobile) WHERE (NOT ((mobile)::text = ''::text));

CREATE INDEX lot_to_expire ON public.loyalty_lot USING btree (tenant_id, expires_on) WHERE (NOT spent);

CREATE INDEX lot_unspent_of_customer ON public.loyalty_lot USING btree (tenant_id, customer_id) WHERE (NOT spent);

CREATE INDEX loyalty_entrylot_entry_id_5a89ca23 ON public.loyalty_entrylot USING btree (entry_id);

CREATE INDEX loyalty_entrylot_lot_id_cce53c7d ON public.loyalty_entrylot USING btree (lot_id);

CREATE UNIQUE INDEX merged_once_at_a_time ON public.loyalty_customermerge USING btree (tenant_id, source_id) WHERE (undone_at IS NULL);

CREATE INDEX message_due ON public.integrations_message USING btree (due_at) WHERE ((state)::text = ANY (ARRAY[('waiting'::character varying)::text, ('sending'::character varying)::text]));

CREATE INDEX message_of_customer ON public.integrations_message USING btree (tenant_id, customer_id, id DESC);

CREATE INDEX mfa_authenticator_user_id_0c3a50c0 ON public.mfa_authenticator USING btree (user_id);

CREATE INDEX movement_of_debt ON public.loyalty_entrylot USING btree (debt_id) WHERE (debt_id IS NOT NULL);

CREATE INDEX note_of_case ON public.support_note USING btree (tenant_id, case_id, id DESC) WHERE (case_id IS NOT NULL);

CREATE INDEX note_of_customer ON public.support_note USING btree (tenant_id, customer_id, id DESC);

CREATE UNIQUE INDEX one_default_programme ON public.loyalty_programme USING btree (tenant_id) WHERE is_default;

CREATE UNIQUE INDEX one_live_alias_a_mobile ON public.loyalty_customeralias USING btree (tenant_id, mobile) WHERE (valid_until IS NULL);

CREATE UNIQUE INDEX one_open_alarm_a_code ON public.support_alarm USING btree (tenant_id, code) WHERE (ended_at IS NULL);

CREATE UNIQUE INDEX one_open_claim_a_bill ON public.integrations_billclaim USING btree (tenant_id, bill_id) WHERE (decided_at IS NULL);

CREATE UNIQUE INDEX one_open_incident_a_store ON public.integrations_incident USING btree (tenant_id, kind, store_id, cause) NULLS NOT DISTINCT WHERE (closed_at IS NULL);

CREATE UNIQUE INDEX one_open_move_a_number ON public.loyalty_numbermove USING btree (tenant_id, mobile) WHERE (decided_at IS NULL);

CREATE INDEX parity_of_tenant ON public.integrations_parityrun USING btree (tenant_id, id DESC);

CREATE INDEX part_of_original ON public.integrations_returnedpart USING btree (tenant_id, original_id);

CREATE INDEX repush_line_open ON public.integrations_repushline USING btree (tenant_id, bill_no) WHERE (arrived_at IS NULL);

CREATE INDEX request_of_customer ON public.support_approvalrequest USING btree (tenant_id, customer_id, id DESC);

CREATE INDEX request_of_operation ON public.support_approvalrequest USING btree (tenant_id, operation) WHERE (operation IS NOT NULL);

CREATE INDEX request_waiting ON public.support_approvalrequest USING btree (tenant_id, id DESC) WHERE ((state)::text = ANY (ARRAY[('asked'::character varying)::text, ('approved'::character varying)::text]));

CREATE INDEX resync_of_tenant ON public.integrations_resync USING btree (tenant_id, id DESC);

CREATE INDEX resync_open ON public.integrations_resync USING btree (state) WHERE ((state)::text = ANY (ARRAY[('waiting'::character varying)::text, ('running'::character varying)::text]));

CREATE INDEX run_newest_of_job ON public.tenants_scheduledrun USING btree (job, id DESC);

CREATE INDEX run_of_policy ON public.integrations_reconciliationrun USING btree (tenant_id, policy_id, id DESC);

CREATE INDEX run_to_do ON public.integrations_reconciliationrun USING btree (state) WHERE ((state)::text = ANY (ARRAY[('waiting'::character varying)::text, ('running'::character varying)::text]));

CREATE INDEX support_dayofwork_user_id_e4f63236 ON public.support_dayofwork USING btree (user_id);

CREATE INDEX tenants_apikey_prefix_f43fe9b7_like ON public.tenants_apikey USING btree (prefix varchar_pattern_ops);

CREATE INDEX tenants_apikey_tenant_id_93769949 ON public.tenants_apikey USING btree (tenant_id);

CREATE INDEX tenants_heartbeat_process_d0aa86fb_like ON public.tenants_heartbeat USING btree (process varchar_pattern_ops);

CREATE INDEX tenants_membership_tenant_id_55f75d05 ON public.tenants_membership USING btree (tenant_id);

CREATE INDEX tenants_membership_user_id_2c860192 ON public.tenants_membership USING btree (user_id);

CREATE INDEX tenants_signingsecret_tenant_id_a540d363 ON public.tenants_signingsecret USING btree (tenant_id);

CREATE INDEX tenants_tenant_business_id_bda9cea7_like ON public.tenants_tenant USING btree (business_id varchar_pattern_ops);

CREATE INDEX tenants_tenant_slug_0a9b71e6_like ON public.tenants_tenant USING btree (slug varchar_pattern_ops);

CREATE INDEX tenants_user_email_8daee2f7_like ON public.tenants_user USING btree (email varchar_pattern_ops);

CREATE INDEX tenants_user_groups_group_id_217b8f87 ON public.tenants_user_groups USING btree (group_id);

CREATE INDEX tenants_user_groups_user_id_5c8b04b7 ON public.tenants_user_groups USING btree (user_id);

CREATE INDEX tenants_user_user_permissions_permission_id_bc2e7c1b ON public.tenants_user_user_permissions USING btree (permission_id);

CREATE INDEX tenants_user_user_permissions_user_id_f9b9e114 ON public.tenants_user_user_permissions USING btree (user_id);

CREATE UNIQUE INDEX unique_authenticator_type ON public.mfa_authenticator USING btree (user_id, type) WHERE ((type)::text = ANY (ARRAY[('totp'::character varying)::text, ('recovery_codes'::character varying)::text]));

CREATE UNIQUE INDEX unique_primary_email ON public.account_emailaddress USING btree (user_id, "primary") WHERE "primary";

CREATE UNIQUE INDEX unique_verified_email ON public.account_emailaddress USING btree (email) WHERE verified;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.loyalty_bonusevaluation FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.loyalty_entry FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.loyalty_entrylot FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.loyalty_seal FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.tenants_auditevent FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.tenants_auditseal FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON public.loyalty_bonusevaluation FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON public.loyalty_entry FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON public.loyalty_entrylot FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON public.loyalty_seal FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON public.tenants_auditevent FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON public.tenants_auditseal FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER end_sessions BEFORE UPDATE ON public.tenants_user FOR EACH ROW WHEN (((old.is_active AND (NOT new.is_active)) OR (new.factors_changed < old.factors_changed))) EXECUTE FUNCTION public.end_sessions();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.integrations_messagesettings FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.integrations_reconciliationpolicy FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_bonus FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_bonuscondition FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_cohort FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_multiplier FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_programme FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_programmeversion FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.loyalty_storeprogramme FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.mfa_authenticator FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.support_bulksettings FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.support_pointslimit FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.support_topiccontact FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_apikey FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_membership FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_signingsecret FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_store FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_storealias FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_storemode FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_tenant FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.tenants_user FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER stamp_xid BEFORE UPDATE ON public.integrations_bill FOR EACH ROW EXECUTE FUNCTION public.stamp_xid();

CREATE TRIGGER stamp_xid BEFORE UPDATE ON public.integrations_delivery FOR EACH ROW EXECUTE FUNCTION public.stamp_xid();

CREATE TRIGGER stamp_xid BEFORE UPDATE ON public.loyalty_customer FOR EACH ROW EXECUTE FUNCTION public.stamp_xid();

CREATE TRIGGER stamp_xid BEFORE UPDATE ON public.loyalty_hold FOR EACH ROW EXECUTE FUNCTION public.stamp_xid();

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.integrations_messagesettings FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'integrations.messagesettings', 'webhook_secret,webhook_url', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.integrations_reconciliationpolicy FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'integrations.reconciliationpolicy', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_bonus FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.bonus', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_bonuscondition FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.bonuscondition', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_cohort FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.cohort', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_multiplier FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.multiplier', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_programme FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.programme', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_programmeversion FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.programmeversion', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.loyalty_storeprogramme FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'loyalty.storeprogramme', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.mfa_authenticator FOR EACH ROW EXECUTE FUNCTION public.tell_change('user_id', 'mfa.authenticator', 'data', 'last_used_at');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.support_bulksettings FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'support.bulksettings', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.support_pointslimit FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'support.pointslimit', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.support_topiccontact FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'support.topiccontact', 'email,phone', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_apikey FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'tenants.apikey', 'secret_hash', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_membership FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'tenants.membership', 'mobile', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_signingsecret FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'tenants.signingsecret', 'secret', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_store FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'tenants.store', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_storealias FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'tenants.storealias', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_storemode FOR EACH ROW EXECUTE FUNCTION public.tell_change('tenant_id', 'tenants.storemode', '', '');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_tenant FOR EACH ROW EXECUTE FUNCTION public.tell_change('id', 'tenants.tenant', '', 'messages_gone_until');

CREATE TRIGGER tell_change AFTER INSERT OR DELETE OR UPDATE ON public.tenants_user FOR EACH ROW EXECUTE FUNCTION public.tell_change('user', 'tenants.user', 'password', 'last_login');

CREATE TRIGGER tier_changed BEFORE UPDATE ON public.loyalty_customer FOR EACH ROW WHEN (((new.tier)::text IS DISTINCT FROM (old.tier)::text)) EXECUTE FUNCTION public.say_when_tier_changed();

CREATE TRIGGER tier_given BEFORE INSERT ON public.loyalty_customer FOR EACH ROW WHEN ((((new.tier)::text <> ''::text) AND (new.tier_changed_at IS NULL))) EXECUTE FUNCTION public.say_when_tier_changed();

ALTER TABLE ONLY public.account_emailaddress
    ADD CONSTRAINT account_emailaddress_user_id_2c513194_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.account_emailconfirmation
    ADD CONSTRAINT account_emailconfirm_email_address_id_5b7f8c58_fk_account_e FOREIGN KEY (email_address_id) REFERENCES public.account_emailaddress(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.axes_accessattemptexpiration
    ADD CONSTRAINT axes_accessattemptex_access_attempt_id_6b73a47a_fk_axes_acce FOREIGN KEY (access_attempt_id) REFERENCES public.axes_accessattempt(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_content_type_id_c4bce8eb_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_user_id_c564eba6_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_cancelled_by_id_wall FOREIGN KEY (tenant_id, cancelled_by_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_hold_id_wall FOREIGN KEY (tenant_id, hold_id) REFERENCES public.loyalty_hold(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_parent_id_wall FOREIGN KEY (tenant_id, parent_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_bill
    ADD CONSTRAINT integrations_bill_tenant_id_9c448c93_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billclaim
    ADD CONSTRAINT integrations_billclaim_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billclaim
    ADD CONSTRAINT integrations_billclaim_tenant_id_32c912b5_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billissue
    ADD CONSTRAINT integrations_billissue_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billissue
    ADD CONSTRAINT integrations_billissue_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billissue
    ADD CONSTRAINT integrations_billissue_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billissue
    ADD CONSTRAINT integrations_billissue_tenant_id_9b43eaaa_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billline
    ADD CONSTRAINT integrations_billline_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_billline
    ADD CONSTRAINT integrations_billline_tenant_id_5ca1c047_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_closeddays
    ADD CONSTRAINT integrations_closeddays_tenant_id_020c4b23_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_crmbalance
    ADD CONSTRAINT integrations_crmbalance_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_crmbalance
    ADD CONSTRAINT integrations_crmbalance_tenant_id_b1b1e26c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_dayend
    ADD CONSTRAINT integrations_dayend_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_dayend
    ADD CONSTRAINT integrations_dayend_tenant_id_2406156c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_delivery
    ADD CONSTRAINT integrations_deliver_first_id_8866ac47_fk_integrati FOREIGN KEY (first_id) REFERENCES public.integrations_delivery(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_delivery
    ADD CONSTRAINT integrations_delivery_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_delivery
    ADD CONSTRAINT integrations_delivery_tenant_id_b696d777_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrep_tenant_id_f9a9ec69_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrepancy_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrepancy_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrepancy_hold_id_wall FOREIGN KEY (tenant_id, hold_id) REFERENCES public.loyalty_hold(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrepancy_incident_id_wall FOREIGN KEY (tenant_id, incident_id) REFERENCES public.integrations_incident(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_discrepancy
    ADD CONSTRAINT integrations_discrepancy_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_erporder
    ADD CONSTRAINT integrations_erporder_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_erporder
    ADD CONSTRAINT integrations_erporder_tenant_id_503b7027_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_fileimport
    ADD CONSTRAINT integrations_fileimport_tenant_id_55330b7e_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_incident
    ADD CONSTRAINT integrations_incident_first_bill_id_wall FOREIGN KEY (tenant_id, first_bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_incident
    ADD CONSTRAINT integrations_incident_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_incident
    ADD CONSTRAINT integrations_incident_tenant_id_9aba324c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_message
    ADD CONSTRAINT integrations_message_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_messagesettings
    ADD CONSTRAINT integrations_message_tenant_id_090115e4_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_message
    ADD CONSTRAINT integrations_message_tenant_id_10d20ba7_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_parityday
    ADD CONSTRAINT integrations_parityday_tenant_id_22489c4e_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_parityrun
    ADD CONSTRAINT integrations_parityr_epoch_id_d2aa8d6a_fk_integrati FOREIGN KEY (epoch_id) REFERENCES public.integrations_feedepoch(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_parityrun
    ADD CONSTRAINT integrations_parityrun_tenant_id_784eb7c3_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_poschange
    ADD CONSTRAINT integrations_poschange_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_poschange
    ADD CONSTRAINT integrations_poschange_tenant_id_cf0b8d1e_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_reconciliationrun
    ADD CONSTRAINT integrations_reconci_tenant_id_0a27e82d_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_reconciliationpolicy
    ADD CONSTRAINT integrations_reconci_tenant_id_eea4bfd1_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_reconciliationrun
    ADD CONSTRAINT integrations_reconciliationrun_policy_id_wall FOREIGN KEY (tenant_id, policy_id) REFERENCES public.integrations_reconciliationpolicy(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_replay
    ADD CONSTRAINT integrations_replay_tenant_id_0180ef2b_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_replayrow
    ADD CONSTRAINT integrations_replayr_delivery_id_869a7c1f_fk_integrati FOREIGN KEY (delivery_id) REFERENCES public.integrations_delivery(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_replayrow
    ADD CONSTRAINT integrations_replayrow_replay_id_wall FOREIGN KEY (tenant_id, replay_id) REFERENCES public.integrations_replay(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_replayrow
    ADD CONSTRAINT integrations_replayrow_tenant_id_82611a09_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_repushline
    ADD CONSTRAINT integrations_repushline_request_id_wall FOREIGN KEY (tenant_id, request_id) REFERENCES public.integrations_repushrequest(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_repushline
    ADD CONSTRAINT integrations_repushline_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_repushline
    ADD CONSTRAINT integrations_repushline_tenant_id_8d37a4e0_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_repushrequest
    ADD CONSTRAINT integrations_repushr_tenant_id_d955085f_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_repushrequest
    ADD CONSTRAINT integrations_repushrequest_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_resync
    ADD CONSTRAINT integrations_resync_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_resync
    ADD CONSTRAINT integrations_resync_tenant_id_0f81c447_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_returnedpart
    ADD CONSTRAINT integrations_returne_tenant_id_d9e3d28f_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_returnedpart
    ADD CONSTRAINT integrations_returnedpart_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.integrations_returnedpart
    ADD CONSTRAINT integrations_returnedpart_original_id_wall FOREIGN KEY (tenant_id, original_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_auditstep
    ADD CONSTRAINT loyalty_auditstep_tenant_id_5718badd_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_balance
    ADD CONSTRAINT loyalty_balance_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_balance
    ADD CONSTRAINT loyalty_balance_tenant_id_57429677_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonus
    ADD CONSTRAINT loyalty_bonus_cohort_id_wall FOREIGN KEY (tenant_id, cohort_id) REFERENCES public.loyalty_cohort(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonus
    ADD CONSTRAINT loyalty_bonus_tenant_id_1348bfa1_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonuscondition
    ADD CONSTRAINT loyalty_bonuscondition_bonus_id_wall FOREIGN KEY (tenant_id, bonus_id) REFERENCES public.loyalty_bonus(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonuscondition
    ADD CONSTRAINT loyalty_bonuscondition_tenant_id_9eae5ea5_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonusevaluation
    ADD CONSTRAINT loyalty_bonusevaluation_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonusevaluation
    ADD CONSTRAINT loyalty_bonusevaluation_bonus_id_wall FOREIGN KEY (tenant_id, bonus_id) REFERENCES public.loyalty_bonus(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonusevaluation
    ADD CONSTRAINT loyalty_bonusevaluation_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_bonusevaluation
    ADD CONSTRAINT loyalty_bonusevaluation_tenant_id_e795eb3c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_cohort
    ADD CONSTRAINT loyalty_cohort_tenant_id_e2d7531f_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_cohortmember
    ADD CONSTRAINT loyalty_cohortmember_cohort_id_wall FOREIGN KEY (tenant_id, cohort_id) REFERENCES public.loyalty_cohort(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_cohortmember
    ADD CONSTRAINT loyalty_cohortmember_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_cohortmember
    ADD CONSTRAINT loyalty_cohortmember_tenant_id_eeff0233_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customer
    ADD CONSTRAINT loyalty_customer_merged_into_id_wall FOREIGN KEY (tenant_id, merged_into_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customer
    ADD CONSTRAINT loyalty_customer_tenant_id_42736bbd_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customeralias
    ADD CONSTRAINT loyalty_customeralias_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customeralias
    ADD CONSTRAINT loyalty_customeralias_tenant_id_a2ddc024_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customermerge
    ADD CONSTRAINT loyalty_customermerge_into_id_wall FOREIGN KEY (tenant_id, into_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customermerge
    ADD CONSTRAINT loyalty_customermerge_source_id_wall FOREIGN KEY (tenant_id, source_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_customermerge
    ADD CONSTRAINT loyalty_customermerge_tenant_id_af1c1d13_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_emptyoperation
    ADD CONSTRAINT loyalty_emptyoperation_tenant_id_f4f19e0e_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_hold_id_wall FOREIGN KEY (tenant_id, hold_id) REFERENCES public.loyalty_hold(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_of_entry_id_1c5437fb_fk_loyalty_entry_id FOREIGN KEY (of_entry_id) REFERENCES public.loyalty_entry(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entry
    ADD CONSTRAINT loyalty_entry_tenant_id_b91a6c22_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entrylot
    ADD CONSTRAINT loyalty_entrylot_debt_id_d8cd7671_fk_loyalty_entry_id FOREIGN KEY (debt_id) REFERENCES public.loyalty_entry(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entrylot
    ADD CONSTRAINT loyalty_entrylot_entry_id_5a89ca23_fk_loyalty_entry_id FOREIGN KEY (entry_id) REFERENCES public.loyalty_entry(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entrylot
    ADD CONSTRAINT loyalty_entrylot_lot_id_cce53c7d_fk_loyalty_lot_entry_id FOREIGN KEY (lot_id) REFERENCES public.loyalty_lot(entry_id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_entrylot
    ADD CONSTRAINT loyalty_entrylot_tenant_id_a049da1c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT loyalty_hold_bill_id_wall FOREIGN KEY (tenant_id, bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT loyalty_hold_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT loyalty_hold_late_bill_id_wall FOREIGN KEY (tenant_id, late_bill_id) REFERENCES public.integrations_bill(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT loyalty_hold_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_hold
    ADD CONSTRAINT loyalty_hold_tenant_id_8653d4ae_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_lot
    ADD CONSTRAINT loyalty_lot_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_lot
    ADD CONSTRAINT loyalty_lot_tenant_id_0d208d21_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_multiplier
    ADD CONSTRAINT loyalty_multiplier_tenant_id_b79397f5_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_multiplier
    ADD CONSTRAINT loyalty_multiplier_version_id_wall FOREIGN KEY (tenant_id, version_id) REFERENCES public.loyalty_programmeversion(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_numbermove
    ADD CONSTRAINT loyalty_numbermove_new_owner_id_wall FOREIGN KEY (tenant_id, new_owner_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_numbermove
    ADD CONSTRAINT loyalty_numbermove_old_owner_id_wall FOREIGN KEY (tenant_id, old_owner_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_numbermove
    ADD CONSTRAINT loyalty_numbermove_tenant_id_f0a86aee_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_programme
    ADD CONSTRAINT loyalty_programme_tenant_id_808cd237_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_programmeversion
    ADD CONSTRAINT loyalty_programmever_tenant_id_8669b1b7_fk_tenants_t FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_programmeversion
    ADD CONSTRAINT loyalty_programmeversion_programme_id_wall FOREIGN KEY (tenant_id, programme_id) REFERENCES public.loyalty_programme(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_seal
    ADD CONSTRAINT loyalty_seal_tenant_id_17d566b1_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_storeprogramme
    ADD CONSTRAINT loyalty_storeprogramme_programme_id_wall FOREIGN KEY (tenant_id, programme_id) REFERENCES public.loyalty_programme(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_storeprogramme
    ADD CONSTRAINT loyalty_storeprogramme_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.loyalty_storeprogramme
    ADD CONSTRAINT loyalty_storeprogramme_tenant_id_eed89dbb_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.mfa_authenticator
    ADD CONSTRAINT mfa_authenticator_user_id_0c3a50c0_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_alarm
    ADD CONSTRAINT support_alarm_tenant_id_6f1d125f_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_approvalrequest
    ADD CONSTRAINT support_approvalrequ_asked_by_user_id_0fd7d25d_fk_tenants_u FOREIGN KEY (asked_by_user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_approvalrequest
    ADD CONSTRAINT support_approvalrequest_case_id_wall FOREIGN KEY (tenant_id, case_id) REFERENCES public.support_case(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_approvalrequest
    ADD CONSTRAINT support_approvalrequest_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_approvalrequest
    ADD CONSTRAINT support_approvalrequest_tenant_id_04dfa4e2_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_bulkjob
    ADD CONSTRAINT support_bulkjob_bonus_id_wall FOREIGN KEY (tenant_id, bonus_id) REFERENCES public.loyalty_bonus(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_bulkjob
    ADD CONSTRAINT support_bulkjob_of_job_id_wall FOREIGN KEY (tenant_id, of_job_id) REFERENCES public.support_bulkjob(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_bulkjob
    ADD CONSTRAINT support_bulkjob_tenant_id_91b205a3_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_bulksettings
    ADD CONSTRAINT support_bulksettings_tenant_id_8df93e53_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_case
    ADD CONSTRAINT support_case_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_case
    ADD CONSTRAINT support_case_incident_id_wall FOREIGN KEY (tenant_id, incident_id) REFERENCES public.integrations_incident(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_case
    ADD CONSTRAINT support_case_tenant_id_663724fc_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_dayofwork
    ADD CONSTRAINT support_dayofwork_tenant_id_4cacc5f7_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_dayofwork
    ADD CONSTRAINT support_dayofwork_user_id_e4f63236_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_erasure
    ADD CONSTRAINT support_erasure_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_erasure
    ADD CONSTRAINT support_erasure_tenant_id_f544be16_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_jobblock
    ADD CONSTRAINT support_jobblock_job_id_wall FOREIGN KEY (tenant_id, job_id) REFERENCES public.support_bulkjob(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_jobblock
    ADD CONSTRAINT support_jobblock_tenant_id_b6456572_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_jobrow
    ADD CONSTRAINT support_jobrow_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_jobrow
    ADD CONSTRAINT support_jobrow_job_id_wall FOREIGN KEY (tenant_id, job_id) REFERENCES public.support_bulkjob(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_jobrow
    ADD CONSTRAINT support_jobrow_tenant_id_476bd420_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_note
    ADD CONSTRAINT support_note_case_id_wall FOREIGN KEY (tenant_id, case_id) REFERENCES public.support_case(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_note
    ADD CONSTRAINT support_note_customer_id_wall FOREIGN KEY (tenant_id, customer_id) REFERENCES public.loyalty_customer(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_note
    ADD CONSTRAINT support_note_tenant_id_839c07c2_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_pointslimit
    ADD CONSTRAINT support_pointslimit_tenant_id_5ec0668b_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_savedview
    ADD CONSTRAINT support_savedview_owner_id_1beadb14_fk_tenants_user_id FOREIGN KEY (owner_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_savedview
    ADD CONSTRAINT support_savedview_tenant_id_7ed88ec8_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.support_topiccontact
    ADD CONSTRAINT support_topiccontact_tenant_id_283880d2_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_apikey
    ADD CONSTRAINT tenants_apikey_tenant_id_93769949_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_auditevent
    ADD CONSTRAINT tenants_auditevent_tenant_id_45dbc5b7_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_auditseal
    ADD CONSTRAINT tenants_auditseal_tenant_id_af7f511b_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_membership
    ADD CONSTRAINT tenants_membership_tenant_id_55f75d05_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_membership
    ADD CONSTRAINT tenants_membership_user_id_2c860192_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_signingsecret
    ADD CONSTRAINT tenants_signingsecret_tenant_id_a540d363_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_store
    ADD CONSTRAINT tenants_store_tenant_id_0b73d00a_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_storealias
    ADD CONSTRAINT tenants_storealias_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_storealias
    ADD CONSTRAINT tenants_storealias_tenant_id_82966b2f_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_storemode
    ADD CONSTRAINT tenants_storemode_store_id_wall FOREIGN KEY (tenant_id, store_id) REFERENCES public.tenants_store(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_storemode
    ADD CONSTRAINT tenants_storemode_tenant_id_e93b414f_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_user_groups
    ADD CONSTRAINT tenants_user_groups_group_id_217b8f87_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_user_groups
    ADD CONSTRAINT tenants_user_groups_user_id_5c8b04b7_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_user_user_permissions
    ADD CONSTRAINT tenants_user_user_pe_permission_id_bc2e7c1b_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_user_user_permissions
    ADD CONSTRAINT tenants_user_user_pe_user_id_f9b9e114_fk_tenants_u FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE public.integrations_bill ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_billclaim ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_billissue ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_billline ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_closeddays ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_crmbalance ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_dayend ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_delivery ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_discrepancy ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_erporder ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_fileimport ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_incident ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_message ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_messagesettings ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_parityday ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_parityrun ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_poschange ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_reconciliationpolicy ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_reconciliationrun ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_replay ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_replayrow ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_repushline ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_repushrequest ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_resync ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.integrations_returnedpart ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_auditstep ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_balance ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_bonus ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_bonuscondition ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_bonusevaluation ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_cohort ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_cohortmember ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_customer ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_customeralias ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_customermerge ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_emptyoperation ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_entry ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_entrylot ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_hold ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_lot ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_multiplier ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_numbermove ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_programme ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_programmeversion ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_seal ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.loyalty_storeprogramme ENABLE ROW LEVEL SECURITY;

CREATE POLICY read_whole ON public.tenants_apikey FOR SELECT TO web USING (true);

CREATE POLICY read_whole ON public.tenants_membership FOR SELECT TO web USING (true);

CREATE POLICY read_whole ON public.tenants_tenant FOR SELECT TO web USING (true);

ALTER TABLE public.support_alarm ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_approvalrequest ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_bulkjob ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_bulksettings ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_case ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_dayofwork ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_erasure ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_jobblock ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_jobrow ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_note ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_pointslimit ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_savedview ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.support_topiccontact ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_wall ON public.integrations_bill TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_billclaim TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_billissue TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_billline TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_closeddays TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_crmbalance TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_dayend TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_delivery TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_discrepancy TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_erporder TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_fileimport TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_incident TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_message TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_messagesettings TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_parityday TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_parityrun TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_poschange TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_reconciliationpolicy TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_reconciliationrun TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_replay TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_replayrow TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_repushline TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_repushrequest TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_resync TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.integrations_returnedpart TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_auditstep TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_balance TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_bonus TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_bonuscondition TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_bonusevaluation TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_cohort TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_cohortmember TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_customer TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_customeralias TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_customermerge TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_emptyoperation TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_entry TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_entrylot TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_hold TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_lot TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_multiplier TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_numbermove TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_programme TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_programmeversion TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_seal TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.loyalty_storeprogramme TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_alarm TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_approvalrequest TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_bulkjob TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_bulksettings TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_case TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_dayofwork TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_erasure TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_jobblock TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_jobrow TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_note TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_pointslimit TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_savedview TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.support_topiccontact TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_apikey TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_auditevent TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_auditseal TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_membership TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_signingsecret TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_store TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_storealias TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_storemode TO web USING ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((tenant_id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

CREATE POLICY tenant_wall ON public.tenants_tenant TO web USING ((id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[]))) WITH CHECK ((id = ANY ((( SELECT string_to_array(NULLIF(current_setting('app.tenants'::text, true), ''::text), ','::text) AS string_to_array))::bigint[])));

ALTER TABLE public.tenants_apikey ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_auditevent ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_auditseal ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_membership ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_signingsecret ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_store ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_storealias ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_storemode ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.tenants_tenant ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON FUNCTION public.search_customers(words text, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search_customers(words text, at_most integer) TO web;

REVOKE ALL ON FUNCTION public.tell_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_of_person(person bigint, told_action text, told_after jsonb, acting jsonb, network text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tell_of_person(person bigint, told_action text, told_after jsonb, acting jsonb, network text) TO web;

REVOKE ALL ON FUNCTION public.tenants_of(person bigint, is_of_platform boolean) FROM PUBLIC;

INSERT INTO public.django_migrations (app, name, applied) VALUES
    ('account', '0001_initial', now()),
    ('account', '0002_email_max_length', now()),
    ('account', '0003_alter_emailaddress_create_unique_verified_email', now()),
    ('account', '0004_alter_emailaddress_drop_unique_email', now()),
    ('account', '0005_emailaddress_idx_upper_email', now()),
    ('account', '0006_emailaddress_lower', now()),
    ('account', '0007_emailaddress_idx_email', now()),
    ('account', '0008_emailaddress_unique_primary_email_fixup', now()),
    ('account', '0009_emailaddress_unique_primary_email', now()),
    ('admin', '0001_initial', now()),
    ('admin', '0002_logentry_remove_auto_add', now()),
    ('admin', '0003_logentry_add_action_flag_choices', now()),
    ('auth', '0001_initial', now()),
    ('auth', '0002_alter_permission_name_max_length', now()),
    ('auth', '0003_alter_user_email_max_length', now()),
    ('auth', '0004_alter_user_username_opts', now()),
    ('auth', '0005_alter_user_last_login_null', now()),
    ('auth', '0006_require_contenttypes_0002', now()),
    ('auth', '0007_alter_validators_add_error_messages', now()),
    ('auth', '0008_alter_user_username_max_length', now()),
    ('auth', '0009_alter_user_last_name_max_length', now()),
    ('auth', '0010_alter_group_name_max_length', now()),
    ('auth', '0011_update_proxy_permissions', now()),
    ('auth', '0012_alter_user_first_name_max_length', now()),
    ('axes', '0001_initial', now()),
    ('axes', '0002_auto_20151217_2044', now()),
    ('axes', '0003_auto_20160322_0929', now()),
    ('axes', '0004_auto_20181024_1538', now()),
    ('axes', '0005_remove_accessattempt_trusted', now()),
    ('axes', '0006_remove_accesslog_trusted', now()),
    ('axes', '0007_alter_accessattempt_unique_together', now()),
    ('axes', '0008_accessfailurelog', now()),
    ('axes', '0009_add_session_hash', now()),
    ('axes', '0010_accessattemptexpiration', now()),
    ('contenttypes', '0001_initial', now()),
    ('contenttypes', '0002_remove_content_type_name', now()),
    ('integrations', '0001_initial', now()),
    ('integrations', '0002_walls', now()),
    ('integrations', '0003_evaluations', now()),
    ('integrations', '0004_bills', now()),
    ('integrations', '0005_incidents_and_files', now()),
    ('integrations', '0006_queue', now()),
    ('integrations', '0007_files_of_customers', now()),
    ('integrations', '0008_incidents_by_cause', now()),
    ('integrations', '0009_messages', now()),
    ('integrations', '0010_analytics', now()),
    ('integrations', '0011_feed_of_bills', now()),
    ('integrations', '0012_reconciliation', now()),
    ('integrations', '0013_resync_of_streams', now()),
    ('integrations', '0014_messages_kept', now()),
    ('integrations', '0015_index_of_put_back', now()),
    ('loyalty', '0001_initial', now()),
    ('loyalty', '0002_walls_and_laws', now()),
    ('loyalty', '0003_whole_ledger', now()),
    ('loyalty', '0004_expiry_and_seals', now()),
    ('loyalty', '0005_number_moves_by_ident', now()),
    ('loyalty', '0006_activity', now()),
    ('loyalty', '0007_messages', now()),
    ('loyalty', '0008_tier_changes', now()),
    ('loyalty', '0009_entries_by_day', now()),
    ('loyalty', '0010_feed_of_holds', now()),
    ('loyalty', '0011_entries_of_day', now()),
    ('loyalty', '0012_trail', now()),
    ('loyalty', '0013_entries_by_kind', now()),
    ('mfa', '0001_initial', now()),
    ('mfa', '0002_authenticator_timestamps', now()),
    ('mfa', '0003_authenticator_type_uniq', now()),
    ('sessions', '0001_initial', now()),
    ('support', '0001_initial', now()),
    ('support', '0002_bulk_jobs', now()),
    ('support', '0003_alarms', now()),
    ('tenants', '0001_initial', now()),
    ('tenants', '0002_walls', now()),
    ('tenants', '0003_returns_claims_signatures', now()),
    ('tenants', '0004_staff_numbers', now()),
    ('tenants', '0005_second_factor', now()),
    ('tenants', '0006_trail', now()),
    ('tenants', '0007_indexes_of_trail', now()),
    ('tenants', '0008_messages_kept', now()),
    ('tenants', '0009_read_whole', now()),
    ('tenants', '0010_sessions_end', now());
