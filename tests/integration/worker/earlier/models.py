"""What the models of R14 refuse: types are strict there."""

from typing import Any

TASK_RESULT = {
    "job_id": (str, True),
    "task_id": (str, True),
    "worker_id": (str, False),
    "origin_worker_id": (str, False),
    "status": (str, False),
    "data": (dict, False),
    "error": (dict, False),
    "data_metadata": (dict, False),
    "metadata": (dict, False),
    "timestamp": (int, False),
}
REGISTRATION = {
    "worker_id": (str, True),
    "worker_type": (str, False),
    "supported_skills": (list, False),
    "available_skills": (list, False),
    "hot_skills": (list, False),
    "resources": (dict, False),
    "installed_software": (dict, False),
    "installed_artifacts": (list, False),
    "capabilities": (dict, False),
    "skills_hash": (str, False),
    "metadata": (dict, False),
    "timestamp": (int, False),
}
EVENT = {
    "event_id": (str, True),
    "worker_id": (str, True),
    "origin_worker_id": (str, True),
    "event_type": (str, True),
    "payload": (dict, True),
    "origin_task_id": (str, False),
    "bubbling_chain": (list, False),
    "target_job_id": (str, False),
    "target_task_id": (str, False),
    "trace_context": (dict, False),
    "timestamp": (int, False),
    "metadata": (dict, False),
}

Model = dict[str, tuple[type, bool]]


def fault(message: dict[str, Any], model: Model) -> str | None:
    """What is wrong with ``message``."""
    for name, (kind, required) in model.items():
        value = message.get(name)
        if value is None:
            if required:
                return f"Object missing required field `{name}`"
        elif not isinstance(value, kind) or isinstance(value, bool):
            return f"Expected {kind.__name__} or null, got {type(value).__name__}"
    error = message.get("error")
    if error is not None and not {"code", "message"} <= error.keys():
        return "Object missing required field `code`"
    return None
