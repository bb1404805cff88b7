"""Settings, read from the environment. Addresses of engines come as URLs; `config.engines` sets them where nobody did."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from environs import Env
from psycopg.conninfo import conninfo_to_dict

from config.logging import LOGGING as LOGGING

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / env.str("DATA_DIR", "var")

#: What this process is: `web` (people's requests, behind row-level security) or `owner` (workers, commands, migrations).
PROCESS = env.str("POINTDESK_PROCESS", "owner")

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
if not SECRET_KEY:
    from config.secret import local_secret_key

    SECRET_KEY = local_secret_key(DATA_DIR)
#: Keys of before: what was signed or encrypted with them is still read.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "config.apps.DeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "import_export",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "anymail",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "config.apps.ConfigConfig",
    "tenants",
    "loyalty",
    "integrations",
    "support",
]

MIDDLEWARE = [
    "tenants.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tenants.middleware.ContentSecurityMiddleware",
    "axes.middleware.AxesMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tenants.middleware.TenantGateMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "tenants.sign_in.PasswordBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenants.second_factor.at_the_door",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    """Every process names its limits: a forgotten transaction must never hold a customer's lock for long."""
    parts = conninfo_to_dict(url)
    limits = {
        "idle_in_transaction_session_timeout": "15s",
        "lock_timeout": "3s" if PROCESS == "web" else "10s",
        "statement_timeout": "15s" if PROCESS == "web" else "0",
        "timezone": "UTC",
    }
    options: dict[str, Any] = {"options": " ".join(f"-c {name}={value}" for name, value in limits.items()), "connect_timeout": 5}
    options |= {
        name: value for name, value in parts.items() if name not in ("dbname", "user", "password", "host", "port", "options")
    }
    options.setdefault("application_name", f"pointdesk {PROCESS}: {' '.join([Path(sys.argv[0]).name, *sys.argv[1:2]])}"[:60])
    if PROCESS == "web":
        options["assume_role"] = "web"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname") or "pointdesk",
        "USER": parts.get("user") or "",
        "PASSWORD": parts.get("password") or "",
        "HOST": parts.get("host") or "",
        "PORT": str(parts.get("port") or ""),
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


_OWNER_URL = env.str("DATABASE_URL", "postgresql://pointdesk@127.0.0.1/pointdesk")
#: A login of its own for web processes: from it there is no way to the owner. Empty: they log in as the owner and enter `web`.
_WEB_URL = env.str("WEB_DATABASE_URL", "")
WEB_HAS_ITS_LOGIN = bool(_WEB_URL)
DATABASES = {"default": _database(_WEB_URL if PROCESS == "web" and _WEB_URL else _OWNER_URL)}

REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379")
CLICKHOUSE_TIMEOUT_SECONDS = env.int("CLICKHOUSE_TIMEOUT_SECONDS", 60)
CLICKHOUSE_URL = env.str("CLICKHOUSE_URL", "http://127.0.0.1:8123/pointdesk")
#: Whoever asks for /metrics must send this as a bearer token; empty: whoever reaches it may read it. It names no brand.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
#: PostgreSQL as ClickHouse reaches it, with a role that row-level security does not hold; empty: rows are carried by us.
CLICKHOUSE_PULL_URL = env.str("CLICKHOUSE_PULL_URL", "")
#: One instance serves both; the broker must never evict, so the cache lives by its time-outs.
REDIS_DB = env.int("REDIS_DB", 0)


def redis_address(number: int) -> str:
    """REDIS_URL with this database, whichever it names itself."""
    parts = urlsplit(REDIS_URL)
    if parts.scheme == "unix":
        return f"{REDIS_URL.partition('?')[0]}?db={number}"
    return parts._replace(path=f"/{number}").geturl()


BROKER_ADDRESS = redis_address(REDIS_DB)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis_address(REDIS_DB + 1),
        "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
    }
}

#: Behind HTTPS: cookies by HTTPS only, and the browser told to stay there.
HTTPS = env.bool("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
#: Only who keeps the domain knows whether all its other hosts speak HTTPS, too.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("HSTS_SUBDOMAINS", False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
#: A proxy of ours is in front: it says whether it was HTTPS, and appends the client's address to X-Forwarded-For.
BEHIND_PROXY = env.bool("BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/admin/"
LOGOUT_REDIRECT_URL = "/accounts/login/"

#: Whether a second factor is asked for: of everybody but agents, and of agents where their brand wants it. Only demo and tests switch it off.
SECOND_FACTOR = env.bool("SECOND_FACTOR", True)
ACCOUNT_ADAPTER = "tenants.sign_in.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
#: Wrong passwords and codes are counted by axes, in PostgreSQL: it works without Redis.
ACCOUNT_RATE_LIMITS = False
MFA_ADAPTER = "tenants.sign_in.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {"authenticate": "tenants.sign_in.CodeForm", "reauthenticate": "tenants.sign_in.CodeAgainForm"}
ACCOUNT_FORMS = {"change_password": "tenants.sign_in.PasswordForm"}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
#: Passkeys on plain http, for who tries it out on localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS

AXES_HANDLER = "tenants.sign_in.Attempts"
AXES_CLIENT_IP_CALLABLE = "tenants.sign_in.network_of"
AXES_USERNAME_CALLABLE = "tenants.sign_in.name_of"
AXES_LOCKOUT_CALLABLE = "tenants.sign_in.locked_out"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True  # sign-ins stand in the audit trail

LANGUAGE_CODE = env.str("LANGUAGE_CODE", "en")
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = ["config.formats"]

STATIC_URL = "/static/"
#: Where `collectstatic` puts files for a web server of its own; unset, they are served from where they lie.
STATIC_ROOT = env.str("STATIC_ROOT", None)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

#: Mail to customers and POS vendors: by SMTP, or by a provider that Anymail knows (`postmark`, `amazon_ses` ..) with its settings as
#: ANYMAIL_... Without either nothing is sent, and the pages say so.
EMAIL_PROVIDER = env.str("EMAIL_PROVIDER", "")
EMAIL_BACKEND = (
    f"anymail.backends.{EMAIL_PROVIDER}.EmailBackend" if EMAIL_PROVIDER else "django.core.mail.backends.smtp.EmailBackend"
)
ANYMAIL = {name.removeprefix("ANYMAIL_"): value for name, value in os.environ.items() if name.startswith("ANYMAIL_")}
EMAIL_HOST = env.str("EMAIL_HOST", "")
EMAIL_PORT = env.int("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.str("EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.str("EMAIL_PASSWORD", "")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
#: Networks of our own into which webhooks may go, also without TLS; everywhere else it is HTTPS to the public internet.
WEBHOOK_NETWORKS: list[str] = env.list("WEBHOOK_NETWORKS", [])
#: A file to which the heads of the chains are appended once a day; see docs/runbook.md.
CHAIN_HEADS_FILE = env.str("CHAIN_HEADS_FILE", "")
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "pointdesk@localhost")

#: The raw body of a batch is kept as bytes: 16 MiB. Django's own limit must not be the one that answers.
BATCH_BYTES_MAX = 16 << 20
DATA_UPLOAD_MAX_MEMORY_SIZE = BATCH_BYTES_MAX + 1

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["integrations.api.http.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["integrations.api.http.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["integrations.api.http.KeyThrottle"],
    "DEFAULT_SCHEMA_CLASS": "integrations.api.schema.Schema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["integrations.api.http.ExactJSONParser"],
    "EXCEPTION_HANDLER": "integrations.api.http.answer_error",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Pointdesk",
    "DESCRIPTION": "Bills, redemptions and points. Errors have one shape, and the sentence says what to do.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "APPEND_COMPONENTS": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "SECURITY": [{"key": []}],
}

IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
ALLOW_AS_OF = env.bool("POINTDESK_ALLOW_AS_OF", False)

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

from config.desk import UNFOLD as UNFOLD  # noqa: E402 - the look of the desk, kept on its own page
