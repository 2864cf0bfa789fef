"""Log lines of a worker that runs as a program of its own."""

import logging
from typing import Any

import msgspec

from avtomatika_worker.errors import ConfigError

__all__ = ["check_logging", "setup_logging"]


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def setup_logging(level: str = "INFO", style: str = "text") -> None:
    """Log lines from ``level`` up go to standard error, as text or as JSON objects.

    Nothing changes when the program has set up logging itself. Raises ConfigError for a level or
    a style that does not exist.
    """
    check_logging(level, style)
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if style == "json" else plain)
    logging.basicConfig(level=level, handlers=[handler])


def check_logging(level: str, style: str) -> None:
    """Raises ConfigError for a level or a style that does not exist."""
    if level not in logging.getLevelNamesMapping():
        raise ConfigError(f"LOG_LEVEL must be a level such as DEBUG, INFO or WARNING, not {level!r}")
    if style not in ("text", "json"):
        raise ConfigError(f"LOG_FORMAT must be text or json, not {style!r}")
