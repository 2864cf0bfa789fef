"""The page of the docs in a real browser: it shows the API, sends requests, needs nothing from elsewhere."""

import json

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import CLIENT_TOKEN, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(page: Page, operation: str) -> Locator:
    """The operation, unfolded."""
    view = page.locator(f"details.operation#{operation}")
    await view.locator("summary").first.click()
    await view.locator("form").wait_for()
    return view


async def sent(view: Locator) -> Locator:
    """The answer to what the form of the operation says."""
    await view.get_by_role("button", name="Send").click()
    answer = view.locator("section.answer")
    await answer.wait_for()
    return answer


async def body_of(answer: Locator) -> str:
    return await answer.get_by_label("Body of the answer").inner_text()


async def test_it_shows_every_operation_of_the_document_with_blueprints_first(visit: Visit) -> None:
    document = await (await visit.page.request.get(f"{visit.url}/_public/openapi.json")).json()
    listed = {each["operationId"] for item in document["paths"].values() for each in item.values()}
    shown = await visit.page.locator("details.operation").evaluate_all("all => all.map(each => each.id)")
    assert set(shown) == listed
    assert shown[0] == "create_flow"


async def test_a_job_can_be_made_and_read_by_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    await page.get_by_label("Client token", exact=True).focus()
    await page.keyboard.type(CLIENT_TOKEN)
    await page.locator("#create_flow > summary").focus()
    await page.keyboard.press("Enter")
    body = page.locator("#create_flow textarea")
    await body.fill('{"initial_data": {"n": 1.0, "big": 12345678901234567890}}')
    await body.press("Control+Enter")
    answer = page.locator("#create_flow section.answer")
    await expect(answer).to_contain_text("202")
    job_id = json.loads(await body_of(answer))["job_id"]

    read = await opened(page, "readJob")
    assert await read.get_by_label("job_id").input_value() == job_id
    await read.get_by_label("wait", exact=True).fill("10")
    shown = await body_of(await sent(read))
    assert json.loads(shown)["status"] == "finished"
    assert '"n": 1.0,' in shown
    assert "12345678901234567890" in shown
    assert "<img src=x onerror=alert(1)>" in shown


async def test_an_answer_that_is_an_error_is_shown(visit: Visit) -> None:
    answer = await sent(await opened(visit.page, "listJobs"))
    await expect(answer).to_contain_text("401")
    assert json.loads(await body_of(answer))["error"]["code"] == "unauthorized"


async def test_a_path_is_not_sent_with_a_part_missing(visit: Visit) -> None:
    view = await opened(visit.page, "cancelJob")
    await view.get_by_role("button", name="Send").click()
    field = view.get_by_label("job_id")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()


async def test_a_graph_is_shown_as_a_picture(visit: Visit) -> None:
    await visit.page.get_by_label("Client token", exact=True).fill(CLIENT_TOKEN)
    view = await opened(visit.page, "drawBlueprint")
    await view.get_by_label("name").fill("flow")
    await view.get_by_label("format").select_option("svg")
    answer = await sent(view)
    picture = answer.get_by_alt_text("The answer as a picture")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("each => each.decode().then(() => each.naturalWidth)") > 0


async def test_what_is_searched_for_is_all_that_is_shown(visit: Visit) -> None:
    await visit.page.keyboard.press("/")
    await visit.page.keyboard.type("cancel")
    await expect(visit.page.locator("details.operation:visible")).to_have_count(1)


async def test_it_can_be_dark_and_light(visit: Visit) -> None:
    page = visit.page
    colour = "getComputedStyle(document.body).backgroundColor"
    await page.emulate_media(color_scheme="dark")
    dark = await page.evaluate(colour)
    await page.get_by_role("button", name="Theme").click()
    light = await page.evaluate(colour)
    await page.reload()
    assert (await page.evaluate(colour), dark != light) == (light, True)


async def test_every_field_has_a_name_that_is_read_aloud(visit: Visit) -> None:
    for summary in await visit.page.locator("details.operation > summary").all():
        await summary.click()
    unnamed = "all => all.filter(each => !each.labels.length).map(each => each.outerHTML)"
    assert await visit.page.locator("input, select, textarea").evaluate_all(unnamed) == []


async def test_it_cannot_be_put_into_a_frame_and_loads_nothing_from_elsewhere(visit: Visit) -> None:
    answer = await visit.page.request.get(f"{visit.url}/_public/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
