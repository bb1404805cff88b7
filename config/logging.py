"""Logs go to stderr as JSON lines. A mobile number never does: digit runs are masked in every message."""

import logging
import re

import structlog

#: Ten digits and more in a row, as in a path: all but the last two are hidden.
LONG_NUMBER = re.compile(r"(?<![0-9a-fA-F-])(\+|%2[bB])?\d{8,15}(\d\d)(?![0-9a-fA-F-])")


def mask_numbers(text: str) -> str:
    return LONG_NUMBER.sub(r"…\2", text)


class MaskNumbers(logging.Filter):
    """Masks the finished message, whichever library wrote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str):
            record.msg = mask_numbers(record.getMessage())
            record.args = None
        elif isinstance(record.msg, dict):
            record.msg = {name: mask_numbers(value) if isinstance(value, str) else value for name, value in record.msg.items()}
        return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"mask": {"()": MaskNumbers}},
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["mask"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "pointdesk": {"level": "INFO"},
        "django.request": {"level": "ERROR"},
    },
}
