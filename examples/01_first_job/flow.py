"""An order becomes an invoice."""

from typing import Any

from avtomatika import ActionFactory, Blueprint

invoices = Blueprint("invoices", api_version="v1", api_endpoint="/invoices")


@invoices.handler(is_start=True)
async def price(items: list[dict[str, Any]], actions: ActionFactory) -> None:
    """A status of the worker's own chooses another way than success."""
    actions.dispatch_task(
        "price_items",
        {"items": items},
        transitions={"success": "write", "nothing_to_do": "empty"},
    )


@invoices.handler
async def write(customer: str, total: int, lines: list[str], actions: ActionFactory) -> None:
    """`customer` is from the request, `total` and `lines` are from the worker."""
    params = {"customer": customer, "total": total, "lines": lines}
    actions.dispatch_task("write_invoice", params, transitions={"success": "done"})


@invoices.handler(is_end=True)
async def done(text: str) -> str:
    """What the end state returns is the result of the job."""
    return text


@invoices.handler(is_end=True, outcome="failed")
async def empty(reason: str) -> str:
    """An end state may be a failure."""
    return reason
