"""Logs go to stderr as JSON lines. Neither a mobile number nor an e-mail address does: whatever looks like one is masked in the finished
line, tracebacks and the values of databases' errors included."""

import logging
import re

import structlog

from tenants.masking import ADDRESS

#: Ten digits and more in a row, as in a path: all but the last two are hidden.
LONG_NUMBER = re.compile(r"(?<![0-9a-fA-F-])(\+|%2[bB])?\d{8,15}(\d\d)(?![0-9a-fA-F-])")


def masked(text: str) -> str:
    return ADDRESS.sub("…@", LONG_NUMBER.sub(r"…\2", text))


class MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks the finished line, whichever library wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": MaskingFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "pointdesk": {"level": "INFO"},
        "django.request": {"level": "ERROR"},
    },
}
