"""The worker, and the whole timetable on one screen. Beat runs in UTC; every run is a row in Scheduled runs."""

import os
from datetime import timedelta

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

app = Celery("pointdesk")


def _broker(address: str) -> str:
    """Celery's spelling of a unix socket's address."""
    return address.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")


app.conf.update(
    broker_url=_broker(settings.BROKER_ADDRESS),
    task_ignore_result=True,
    # A killed worker's task runs again (so tasks are idempotent), and soon.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={
        "visibility_timeout": 600,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 1,
    },
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    timezone="UTC",
    enable_utc=True,
    beat_schedule={
        "sweep_inbox": {"task": "integrations.tasks.sweep_inbox", "schedule": timedelta(seconds=5)},
        "continue_files": {"task": "integrations.tasks.continue_files", "schedule": timedelta(seconds=30)},
        "continue_replays": {"task": "integrations.tasks.continue_replays", "schedule": timedelta(seconds=30)},
        "feed_analytics": {"task": "integrations.tasks.feed_analytics", "schedule": timedelta(seconds=3)},
        "close_days": {"task": "integrations.tasks.close_days", "schedule": timedelta(minutes=5)},
        "check_parity": {"task": "integrations.tasks.check_parity", "schedule": timedelta(minutes=5)},
        "check_parity_whole": {
            "task": "integrations.tasks.check_parity",
            "schedule": crontab(minute=7, hour=3),
            "kwargs": {"whole": True},
        },
        "continue_resyncs": {"task": "integrations.tasks.continue_resyncs", "schedule": timedelta(seconds=30)},
        "reconcile": {"task": "integrations.tasks.reconcile", "schedule": timedelta(minutes=2)},
        "gather_incidents": {"task": "integrations.tasks.gather_incidents", "schedule": timedelta(minutes=2)},
        "send_messages": {"task": "integrations.tasks.send_messages", "schedule": timedelta(seconds=15)},
        "finish_erasures": {"task": "support.tasks.finish_erasures", "schedule": timedelta(minutes=1)},
        "continue_jobs": {"task": "support.tasks.continue_jobs", "schedule": timedelta(seconds=10)},
        "tell_results": {"task": "support.tasks.tell_results", "schedule": timedelta(seconds=30)},
        "forget_previews": {"task": "support.tasks.forget_previews", "schedule": crontab(minute=37, hour=2)},
        "release_expired_holds": {"task": "loyalty.tasks.release_expired_holds", "schedule": timedelta(minutes=1)},
        "expire_lots": {"task": "loyalty.tasks.expire_lots", "schedule": timedelta(minutes=10)},
        "activate_pending": {"task": "loyalty.tasks.activate_pending", "schedule": timedelta(minutes=10)},
        "seal_entries": {"task": "loyalty.tasks.seal_entries", "schedule": timedelta(minutes=5)},
        "seal_trail": {"task": "tenants.tasks.seal_trail", "schedule": timedelta(minutes=5)},
        "send_chain_heads": {"task": "support.tasks.send_chain_heads", "schedule": crontab(minute=41)},
        "watch_the_house": {"task": "support.tasks.watch_the_house", "schedule": timedelta(seconds=20)},
        "heartbeat": {"task": "tenants.tasks.heartbeat", "schedule": timedelta(seconds=30)},
        "forget_messages": {"task": "integrations.tasks.forget_messages", "schedule": crontab(minute=23, hour=1)},
        "forget_old_runs": {"task": "tenants.tasks.forget_old_runs", "schedule": crontab(minute=17, hour=2)},
    },
)
app.autodiscover_tasks(["tenants", "loyalty", "integrations", "support"])
