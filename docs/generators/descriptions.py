"""What each setting means, in one sentence or two. A test fails when one is missing or too many."""

from collections.abc import Mapping

OF_THE_ORCHESTRATOR: Mapping[str, str] = {
    "API_HOST": "The address to listen on. Any but a loopback address needs TLS or "
    "`AVTOMATIKA_INSECURE_HTTP`.",
    "API_PORT": "The port to listen on; 0 for any free one.",
    "APPROVAL_SECRET": "The key that the secrets of approval links are made with.",
    "AVTOMATIKA_DATA_DIR": "The folder of the database and of `secrets.toml`.",
    "AVTOMATIKA_INSECURE_HTTP": "Confirms that the address may be reached without TLS: a proxy speaks it.",
    "BLUEPRINTS_DIR": "A folder whose blueprints are served: those of its `*.py`, but for `_*.py`.",
    "CLIENT_API_PREFIX": "The first part of the paths of the client API.",
    "CLIENT_TOKEN": "The token of the client; 16 characters or more.",
    "DETAILED_API_RESPONSES": "Whether reads of a job include its data when `detailed` is not given.",
    "DISPATCHER_MAX_CANDIDATES": "How many workers are compared for one task.",
    "DISPATCHER_SOFT_LIMIT": "From how many tasks on a worker counts as saturated.",
    "DISPATCHER_SPILL_AFTER_SECONDS": "How long a task is kept for the workers that its strategy prefers.",
    "DRAIN_NOTICE_SECONDS": (
        "For how long a node that stops serves on, says that it is not ready, and lets connections end."
    ),
    "DRAIN_TIMEOUT_SECONDS": "How long running work may take to end when the node stops.",
    "ENABLE_CLIENT_API": "Whether there is a client API.",
    "EXECUTOR_MAX_CONCURRENT_JOBS": "How many messages of one kind (runs, timers) are dealt with at once.",
    "FILES_RETENTION_SECONDS": "For how long the files of a job are kept after its end; "
    "see [files](../how-to/job-files.md).",
    "GLOBAL_WORKER_TOKEN": "The token of the workers; 16 characters or more.",
    "HISTORY_DATABASE_URI": "Where the history is written as well: `sqlite:///PATH` or `postgresql://…`; "
    "see [history](../how-to/history.md).",
    "INSTANCE_ID": "The name of the node, under which it holds leases.",
    "JOB_MAX_RETRIES": "How many more attempts a failed task or a handler that raised gets.",
    "JOB_RETENTION_DAYS": "For how many days finished jobs and their history are kept; 0 for ever.",
    "LOG_LEVEL": "The level of the log of `avtomatika serve` and `dev`; other programs set up their own.",
    "MAX_BODY_BYTES": "The largest body of a request, in bytes; at least 1024.",
    "MAX_DELIVERIES": "How often a task or a run may be begun without coming to an end.",
    "MAX_TRANSITIONS_PER_JOB": "How many states a job may enter before a loop is suspected.",
    "MAX_UNFINISHED_JOBS": "How many unfinished jobs there may be. One more is answered with 503.",
    "MAX_UNFINISHED_JOBS_PER_CLIENT": "How many unfinished jobs a client may have. One more: 429.",
    "MAX_UPLOAD_BYTES": "The largest file that a client may upload through the node.",
    "OFFLOAD_VALUES_BYTES": "Values of jobs and params of tasks that are larger are kept with the files.",
    "ORCHESTRATOR_SECRET_KEY": "Signs tasks, for workers that verify them; 16 characters or more.",
    "WORKERS_CONFIG_PATH": "A file of tokens of single workers and of groups; "
    "see [worker tokens](../how-to/worker-tokens.md).",
    "WORKER_ACCESS_TOKEN_SECONDS": "For how long a token opens that a worker gets for its own; 900 to 3600.",
    "WORKER_AUTH_MODE": "What workers show: `mixed` a certificate or a token, `mtls-only` a certificate, "
    "`token-only` a token.",
    "WORKER_SIGNATURES": "`required` refuses messages of workers that are not signed; `optional` verifies "
    "those that are.",
    "OPERATOR_TOKEN": "The token of operators, who see and change the jobs of every client.",
    "PUBLIC_URL": "Where others reach the node, for the links in webhooks; a path may follow the host.",
    "REPUTATION_MIN_THRESHOLD": "Workers whose reputation is lower get no tasks.",
    "REPUTATION_PENALTY_CONTRACT_VIOLATION": "What a result that breaks its schema takes from a reputation.",
    "REPUTATION_PENALTY_TASK_FAILURE": "What a permanent failure takes from a reputation.",
    "REPUTATION_REWARD_SUCCESS": "What a success adds to a reputation.",
    "RETRY_BACKOFF_MAX_SECONDS": "The longest pause before another attempt.",
    "RETRY_BACKOFF_SECONDS": "The upper end of the first pause; it doubles with each attempt.",
    "RUN_LEASE_SECONDS": "For how long a node holds a run; it renews the lease while the handler runs.",
    "S3_ACCESS_KEY": "The key id for the S3; without one there is no S3.",
    "S3_AUTO_CLEANUP": "Whether the files of jobs are removed some time after their end.",
    "S3_DEFAULT_BUCKET": "The bucket of files, which must be there; without an S3 the name of a folder.",
    "S3_ENDPOINT_URL": "Where the S3 is that files are kept in, with both keys; without it they are in a "
    "folder beside the database.",
    "S3_MAX_CONCURRENCY": "How many files are transferred at once.",
    "S3_REGION": "The region of the S3.",
    "S3_SECRET_KEY": "The secret key for the S3.",
    "SCHEDULES_CONFIG_PATH": "A file of schedules, such as `schedules.toml`.",
    "AVTOMATIKA_ALLOW_VOLATILE_REDIS": (
        "Whether a Redis may be used that forgets when it restarts, or evicts when it is full."
    ),
    "REDIS_DB": "The number of the database at `REDIS_HOST`.",
    "REDIS_HOST": "Without `STORAGE_URL`: jobs are kept in the Redis or Valkey on this host.",
    "REDIS_PASSWORD": "The password for it.",
    "REDIS_PORT": "Its port.",
    "STORAGE_DURABILITY": (
        "With `replicated` a Redis has accepted nothing that is not on the disk of a replica too."
    ),
    "STORAGE_PREFIX": "What the names of all keys or tables begin with: nodes of one prefix belong together.",
    "STORAGE_URL": (
        "Where jobs are kept: `sqlite:///PATH`, `memory://`, `postgresql://…`, or `redis://…` and its kin."
    ),
    "TASK_FILES_DIR": "The folder of the copies of files that handlers work on.",
    "TASK_LEASE_SECONDS": "For how long a worker holds a task without a heartbeat.",
    "TLS_CA_PATH": "The authority that signs the certificates of workers; see "
    "[mutual TLS](../how-to/mutual-tls.md).",
    "TLS_CERT_PATH": "The certificate of the node, in PEM, with those between it and its authority.",
    "TLS_ENABLED": "Whether the node speaks TLS.",
    "TLS_KEY_PATH": "The key of that certificate, in PEM without a password.",
    "TLS_REQUIRE_CLIENT_CERT": "Whether everybody who connects, clients too, needs a certificate.",
    "TZ": "The time zone of schedules that name none.",
    "WEBHOOK_ALLOWED_HOSTS": "Host names and networks, with commas between, whose addresses may be private.",
    "WEBHOOK_ALLOW_HTTP": "Whether webhooks may go over unencrypted HTTP.",
    "WEBHOOK_ALLOW_PRIVATE": "Whether webhooks may go to any private address; for development.",
    "WEBHOOK_BACKOFF_MAX_SECONDS": "The longest pause before a webhook is tried again.",
    "WEBHOOK_BACKOFF_SECONDS": "The upper end of the first of these pauses; it doubles with each attempt.",
    "WEBHOOK_CONCURRENCY": "How many webhooks are on their way at once.",
    "WEBHOOK_DEAD_LETTER_DAYS": "For how many days a webhook that was given up can be sent again.",
    "WEBHOOK_MAX_TRIES": "How often a webhook is tried, within 24 hours.",
    "WEBHOOK_SECRET": "Signs webhooks: `whsec_` and the Base64 of 24 to 64 bytes. Several, with blanks "
    "between them, sign all at once.",
    "WEBHOOK_TIMEOUT_SECONDS": "How long one attempt may take in all.",
    "WORKER_EVENTS_PER_SECOND": "Events that a task may tell in a second. Each KiB counts as one more.",
    "WORKER_HEALTH_CHECK_INTERVAL_SECONDS": "Half the time for which a silent worker is still known.",
    "WORKER_POLL_TIMEOUT_SECONDS": "How long a request for tasks is kept waiting at most.",
    "WORKER_TIMEOUT_SECONDS": "The execution limit of tasks that name none.",
    "WORK_STEALING_ENABLED": "Whether less preferred workers get a task that waited; if not, it is reserved.",
}

OF_THE_WORKER: Mapping[str, str] = {
    "COST_PER_SKILL": "JSON object: what a second of each skill costs; `max_cost` of tasks compares with it.",
    "CPU_CORES": "How many processor cores are reported, in place of those that are found.",
    "GPU_ID": "The id of the reported GPU.",
    "GPU_MODEL": "The model of a GPU to report; else those that are found.",
    "GPU_VRAM_GB": "The memory of the reported GPU, in GiB.",
    "HEARTBEAT_INTERVAL": "The longest time between heartbeats; shorter when the leases ask for it.",
    "IDLE_POLL_DELAY": "The pause before polling again after a poll that brought nothing.",
    "INSTALLED_ARTIFACTS": "JSON list of artifacts to report: `name`, and optionally `version`, `type`.",
    "INSTALLED_MODELS": "JSON list of models to report: `name` and `version`.",
    "INSTALLED_SOFTWARE": "JSON object of software to report: name to version.",
    "LOG_FORMAT": "`text` or `json`.",
    "LOG_LEVEL": "The level of the log.",
    "MAX_CONCURRENT_TASKS": "How many tasks run at once.",
    "MULTI_ORCHESTRATOR_MODE": "`FAILOVER`, `ROUND_ROBIN` or `WATERFALL`: "
    "[whom to take work from](../how-to/several-orchestrators.md).",
    "ORCHESTRATORS_CONFIG": "JSON list for several: `url`, and optionally `priority`, `weight`, `token`.",
    "ORCHESTRATOR_SECRET_KEY": "The key that the orchestrator signs tasks with. If it is set, tasks "
    "without such a signature fail with `SECURITY_ERROR` and are not run.",
    "ORCHESTRATOR_URL": "The address of the orchestrator.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "Where spans are sent to, as in OpenTelemetry; it enables them. See "
    "[monitoring](../how-to/monitoring-workers.md).",
    "POLL_BACKOFF_FACTOR": "By how much the pause grows with each poll that fails.",
    "POLL_BACKOFF_INITIAL": "The first pause after a poll that failed.",
    "POLL_BACKOFF_MAX": "The longest pause after polls that failed.",
    "RAM_GB": "The memory that is reported, in GiB, in place of what is found; 0 for none.",
    "RATE_LIMIT_BACKOFF_FLOOR": "The pause after too many calls, where the orchestrator does not say how "
    "long.",
    "REGISTRATION_RETRY_INITIAL_DELAY": "The first pause after a registration that failed.",
    "REGISTRATION_RETRY_MAX_DELAY": "The longest pause after registrations that failed.",
    "REQUIRE_TASK_SIGNATURE": "`false` runs tasks without a signature, too, where there is a key.",
    "RESULT_MAX_RETRIES": "How often a result is sent again that the orchestrator answers with an error; "
    "an orchestrator that cannot be reached does not count.",
    "RESULT_RETRY_INITIAL_DELAY": "The first pause before a result is sent again.",
    "S3_ACCESS_KEY": "The key id for the S3; without keys those of the surroundings are used.",
    "S3_DEFAULT_BUCKET": "The bucket that files of results go to.",
    "S3_ENDPOINT_URL": "The S3 that files of tasks are exchanged with; without it none are.",
    "S3_REGION": "The region of the S3.",
    "S3_SECRET_KEY": "The secret key for the S3.",
    "SECRET_KEY": "Stands for `ORCHESTRATOR_SECRET_KEY` where that is not set.",
    "STRICT_EVENT_VALIDATION": "Whether events that a skill does not declare are dropped, if it declares "
    "any. What is declared is always checked, with the extra `schema`.",
    "TASK_FILES_DIR": "The folder in which each task has a folder of its own.",
    "TASK_POLL_ERROR_DELAY": "The pause after a poll that failed, which then does not grow; used if it "
    "is set and `POLL_BACKOFF_INITIAL` is not.",
    "TASK_POLL_TIMEOUT": "How long a poll waits for tasks.",
    "TLS_CA_PATH": "A file of certificates to trust, in place of those of the system.",
    "TLS_CERT_PATH": "The certificate that the worker shows; its token is then exchanged for another one.",
    "TLS_KEY_PATH": "The key of that certificate.",
    "WORKER_BLOB_CACHE_DIR": "The folder of copies of files that were downloaded; nobody else may write "
    "in it.",
    "WORKER_BLOB_CACHE_MAX_GB": "How large the copies may become together, in GB; 0 for none.",
    "WORKER_DEVICES": "JSON list of devices to report, in place of GPUs that are found: `type`, and "
    "optionally `model`, `id`, `properties`.",
    "WORKER_ENABLE_METRICS": "Whether `/metrics` is served on `WORKER_PORT`, with the extra `metrics`.",
    "WORKER_ENABLE_TRACING": "Whether there is a span for each task, for the OpenTelemetry that the program "
    "has set up.",
    "WORKER_ENABLE_WEBSOCKETS": "Listen for commands over the WebSocket of earlier orchestrators, where "
    "there is no stream. `false` given without `WORKER_TRANSPORT` also forbids streams.",
    "WORKER_EXTRA_…": "Reported as a capability, under the rest of its name in lower case.",
    "WORKER_HEARTBEAT_COOLDOWN": "How long after a heartbeat such a one is sent at the earliest.",
    "WORKER_HEARTBEAT_DEBOUNCE_DELAY": "How long the heartbeat waits that tells of other models in "
    "memory, for more of them.",
    "WORKER_HOST": "The address of `/health`, `/ready` and `/metrics`; `0.0.0.0` in containers.",
    "WORKER_ID": "The name of the worker: letters, digits, `_` and `-`.",
    "WORKER_INDIVIDUAL_TOKEN": "A token of this worker alone; comes before `WORKER_TOKEN`.",
    "WORKER_PORT": "The port of `/health`, `/ready` and `/metrics`.",
    "WORKER_SHUTDOWN_TIMEOUT": "How long running tasks may take to end when the worker stops.",
    "WORKER_SKILLS_DIR": "A folder whose modules are loaded for skills, if it is there.",
    "WORKER_SPOOL": "Whether results are kept on disk until they are acknowledged, if `WORKER_ID` is set.",
    "WORKER_SPOOL_DIR": "The folder for [results that survive a restart](../how-to/results-that-survive.md).",
    "WORKER_TELEMETRY_DEADBAND": "By how many points the load of CPU or GPU, and by how many percent "
    "used memory, must differ from what was told last to be told again.",
    "WORKER_TELEMETRY_FORCE_INTERVAL": "After how many seconds load and memory are told again though "
    "they have not changed.",
    "WORKER_TOKEN": "The token of the workers. Earlier orchestrators: [migrating](../how-to/migrating.md).",
    "WORKER_TRANSPORT": "`auto`: a stream where there can be one, else polls; `stream`, `poll`: only that.",
    "WORKER_TYPE": "The type that is reported.",
}
