"""The page on metrics lists every metric that there is, with its kind and its labels, and no other."""

import re

from avtomatika.http import metrics
from tests.docs.pages import ROOT

ROW = re.compile(r"^\| `(?P<name>orchestrator_\w+)` \| (?P<kind>\w+) \| (?P<labels>[^|]+) \|", re.MULTILINE)


def there_are() -> dict[str, tuple[str, list[str]]]:
    """What the registry holds besides what programs added."""
    known = [each for each in vars(metrics).values() if isinstance(each, metrics.Bounded)]
    return {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, list(each.labels))
        for each in known
        for family in each.metric.describe()
    }


def test_every_metric_is_on_the_page() -> None:
    page = (ROOT / "docs/reference/telemetry.md").read_text("utf-8")
    listed = {row["name"]: (row["kind"], re.findall(r"`(\w+)`", row["labels"])) for row in ROW.finditer(page)}
    assert listed == there_are()
    assert len(listed) > 5


def test_no_label_is_an_id() -> None:
    labels = {label for _, names in there_are().values() for label in names}
    assert labels <= {"blueprint", "deadline", "node", "reason", "role", "schedule", "status"}
