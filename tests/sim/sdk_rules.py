"""What a worker of the SDK owes to its orchestrator and its handlers, held against what its session says."""

from collections.abc import Callable, Iterable, Sequence

from avtomatika.testing.stage import Stage
from avtomatika.testing.watched_gateway import key_of, words_of
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.conversation.steps import Pace
from rxon.messages import ResultAnswer, TaskOffer, TaskResult, WorkerEvent
from rxon.vocabulary import AnswerStatus


class SdkRules:
    """The account of one process of a worker, kept by what comes from the server and from handlers."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._stage, self._name = stage, name
        self._tokens: dict[str, str | None] = {}
        self._mine: dict[str, None] = {}
        self._over: set[str] = set()
        self._waiting: dict[str, None] = {}
        self._out: dict[str, TaskResult] = {}

    def unsettled(self) -> Sequence[str]:
        """Tasks that are neither settled nor taken away."""
        return tuple(self._mine)

    def came(self, offers: Iterable[TaskOffer]) -> None:
        """The server has given these tasks."""
        for offer in offers:
            self._tokens[offer.task_id] = offer.lease_token
            self._over.discard(offer.task_id)
            self._mine[offer.task_id] = None
            self._stage.ledger.holding.took(self._name, offer.task_id)

    def restored(self, result: TaskResult) -> None:
        """A process before this one has left the result."""
        self._stage.counts["restored"] += 1
        self._tokens[result.task_id] = result.lease_token
        self._mine[result.task_id] = None
        self._waiting[result.task_id] = None

    def called_back(self, tasks: Iterable[str], stopped: Iterable[str]) -> None:
        """The server has taken tasks away, and the session has said which of them to stop."""
        over = {task for task in tasks if task in self._mine and task not in self._out}
        for task in sorted(over.union(stopped)):
            self._settled(task)
            self._over.add(task)

    def handed_in(self, task_id: str, *, taken: bool) -> None:
        """A handler has a result, and the session takes it or not."""
        if taken:
            self._waiting[task_id] = None
        elif task_id in self._mine:
            self._violated("a result of a task that is held is taken", task_id)

    def tells(self, event: WorkerEvent) -> None:
        """The event is sent."""
        if event.task_id in self._waiting:
            self._violated("what a handler told goes before its result", event)
        elif event.task_id in self._mine and event.lease_token != self._tokens[event.task_id]:
            self._violated("an event has the newest token", event)

    def says_nothing(self) -> None:
        """The session has no result to send, however long it is waited for."""
        if self._waiting:
            self._violated("a result is sent until it is answered", list(self._waiting))

    def goes_out(self, results: Sequence[TaskResult]) -> None:
        """The session has these results sent."""
        for result in results:
            if result.task_id in self._over:
                self._violated("no result of a task that was called back is sent", result.task_id)
            elif result.lease_token != self._tokens.get(result.task_id):
                newest = self._tokens.get(result.task_id)
                self._violated("a result has the newest token", f"{result}, not {newest}")
        if missing := self._waiting.keys() - {result.task_id for result in results}:
            self._violated("a result is sent until it is answered", missing)
        self._out = {result.task_id: result for result in results}

    def came_to_nothing(self, given_up: Iterable[str]) -> None:
        """No answer came to the results, of which some are given up."""
        self._out = {}
        for task in given_up:
            self._stage.counts["given_up"] += 1
            self._settled(task)

    def answered(self, answers: Sequence[tuple[str, ResultAnswer]]) -> None:
        """The session has taken these answers to results that were sent."""
        promises = self._stage.ledger.promises
        sent, self._out = self._out, {}
        for task, answer in answers:
            if task not in sent:
                self._violated("an answer is to what was sent", f"{task} {answer}")
                continue
            data = words_of(sent[task])
            if answer.status is AnswerStatus.ACCEPTED:
                promises.accepted_result(key_of(task), data)
            else:
                promises.refused_result(key_of(task), data, last=False)
            self._settled(task)

    def dropped(self, task: str) -> None:
        """The handler was stopped, and has no result."""
        self._settled(task)

    def _settled(self, task: str) -> None:
        self._mine.pop(task, None)
        self._waiting.pop(task, None)
        self._stage.ledger.holding.let_go(self._name, task)
        if not self._mine:
            self._stage.stirred.set()

    def _violated(self, rule: str, detail: object) -> None:
        self._stage.ledger.violated(rule, f"{self._name}: {detail}")


class WatchedSession(Session):
    """The session, and what handlers hear from it."""

    def __init__(self, pace: Pace, chance: Callable[[], float], rules: SdkRules) -> None:
        super().__init__(pace, chance)
        self._rules = rules

    def restore(self, result: TaskResult, lease_seconds: float | None = None) -> None:
        """The result waits to be sent."""
        self._rules.restored(result)
        super().restore(result, lease_seconds)

    def finished(self, result: TaskResult) -> bool:
        """The result waits to be sent; False when nobody waits for it any more."""
        taken = super().finished(result)
        self._rules.handed_in(result.task_id, taken=taken)
        return taken

    def dropped(self, task_id: str) -> None:
        """The task is over and has no result."""
        super().dropped(task_id)
        self._rules.dropped(task_id)
