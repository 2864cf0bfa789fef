"""Statements that a test runs behind the back of a history."""

import sqlite3
from contextlib import closing
from typing import Any

import asyncpg


async def execute(uri: str, *statements: str) -> list[Any]:
    """What the last of the statements found; all have run in the database of the history."""
    found: list[Any] = []
    if uri.startswith("sqlite:"):
        with closing(sqlite3.connect(uri[10:])) as database, database:
            for statement in statements:
                found = database.execute(statement).fetchall()
        return found
    connection = await asyncpg.connect(uri)
    try:
        for statement in statements:
            found = await connection.fetch(statement)
    finally:
        await connection.close()
    return found
