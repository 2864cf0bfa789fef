"""Statements that a test runs behind the back of a history."""

import sqlite3
from contextlib import closing

import asyncpg


async def execute(uri: str, *statements: str) -> None:
    """The statements have run in the database of the history."""
    if uri.startswith("sqlite:"):
        with closing(sqlite3.connect(uri[10:])) as database, database:
            for statement in statements:
                database.execute(statement)
        return
    connection = await asyncpg.connect(uri)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
