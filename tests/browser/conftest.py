"""A real browser before a real node. Without a browser these tests are skipped, and say what is missing."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, Page, async_playwright

from avtomatika import Blueprint, Config, OrchestratorEngine

CLIENT_TOKEN = "client-token-of-the-tests"
WORKER_TOKEN = "worker-token-of-the-tests"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str | None:
    """The browser of `CHROMIUM`, or of the system; None for the one that playwright installed, if any."""
    named = (os.environ.get("CHROMIUM"), *(shutil.which(name) for name in BROWSERS))
    return next((path for path in named if path), None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        try:
            started = await playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        except Error as error:
            if os.environ.get("CI_NEEDS_BROWSER"):
                raise
            reason = error.message.splitlines()[0]
            pytest.skip(f"no browser: apt-get install chromium, or playwright install chromium ({reason})")
        yield started
        await started.close()


def flow() -> Blueprint:
    made = Blueprint("flow", api_endpoint="/jobs/flow", api_version="v1")

    @made.handler(is_start=True)
    async def begin(actions):  # type: ignore[no-untyped-def]
        actions.go_to("done")

    @made.handler(is_end=True)
    async def done(initial_data):  # type: ignore[no-untyped-def]
        return {"given": initial_data, "markup": "<img src=x onerror=alert(1)>"}

    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a node with one blueprint."""
    config = Config({})
    config.API_PORT = 0
    config.STORAGE_URL = "memory://"
    config.AVTOMATIKA_DATA_DIR = str(tmp_path_factory.mktemp("node"))
    config.CLIENT_TOKEN, config.GLOBAL_WORKER_TOKEN = CLIENT_TOKEN, WORKER_TOKEN
    engine = OrchestratorEngine(config=config)
    engine.register_blueprint(flow())
    await engine.start()
    assert engine.address is not None
    yield f"http://127.0.0.1:{engine.address[1]}"
    await engine.stop()


class Visit:
    """A page, with all that the browser complained about and asked from elsewhere."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.on("console", lambda told: self._told(told.type, told.text))
        page.on("request", lambda request: self._asked(request.url))

    def _told(self, kind: str, text: str) -> None:
        # The browser notes every answer of 400 and above; to see those is what the page is for.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url, "blob:" + self.url)):
            self.elsewhere.append(url)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, node: str) -> AsyncIterator[Visit]:
    """The page of the docs; afterwards nothing may have been complained about or asked from elsewhere."""
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(15_000)
    visit = Visit(page, node)
    await page.goto(f"{node}/_public/docs")
    await page.locator("details.operation").first.wait_for()
    yield visit
    await context.close()
    assert (visit.complaints, visit.elsewhere) == ([], [])
