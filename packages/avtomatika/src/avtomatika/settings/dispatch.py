"""The settings of dispatch: who is preferred, for how long, and what results do to a reputation."""

import msgspec

from avtomatika.matching.reputation import ReputationRules
from avtomatika.matching.strategies import DispatchRules
from avtomatika.settings.reader import Reader


class DispatchSettings(msgspec.Struct, frozen=True):
    """Whom tasks go to."""

    rules: DispatchRules = DispatchRules()
    reputation: ReputationRules = ReputationRules()


def read_dispatch(reader: Reader) -> DispatchSettings:
    """The `DISPATCHER_…` and `REPUTATION_…` variables, and `WORK_STEALING_ENABLED`."""
    rules, results = DispatchRules(), ReputationRules()
    return DispatchSettings(
        DispatchRules(
            soft_limit=reader.whole("DISPATCHER_SOFT_LIMIT", rules.soft_limit, 1),
            max_candidates=reader.whole("DISPATCHER_MAX_CANDIDATES", rules.max_candidates, 1),
            stealing=reader.flag("WORK_STEALING_ENABLED", rules.stealing),
            spill_after=reader.span("DISPATCHER_SPILL_AFTER_SECONDS", 5),
            reputation_floor=reader.share("REPUTATION_MIN_THRESHOLD", rules.reputation_floor),
        ),
        ReputationRules(
            success=reader.share("REPUTATION_REWARD_SUCCESS", results.success),
            failure=reader.share("REPUTATION_PENALTY_TASK_FAILURE", results.failure),
            contract_violation=reader.share(
                "REPUTATION_PENALTY_CONTRACT_VIOLATION", results.contract_violation
            ),
        ),
    )
