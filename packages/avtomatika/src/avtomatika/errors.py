"""What can go wrong, as one tree with stable codes.

AvtomatikaError
├── InvalidInput            invalid_input        a value from outside breaks a rule; `field` names it
│   ├── InvalidJson         invalid_json
│   └── ContractViolation   contract_violation   input or result is not as the blueprint says
├── NotFound                not_found            no such thing, or it belongs to somebody else
├── Unauthorized            unauthorized         no valid credential
├── Forbidden               forbidden            a valid credential that does not go that far
├── Conflict                conflict             the thing is not in a state that allows the request
│   ├── AlreadyOver         already_over         the job has ended
│   └── KeyReused           idempotency_key_reused
├── TooLarge                payload_too_large
├── IntegrityError          integrity_failed     a file is not what was said of it
├── Overloaded              overloaded           refused before acceptance, try later
├── Unavailable             unavailable          cannot promise durability now, try later
│   └── StorageFull         storage_full
├── BlueprintError          blueprint_invalid    a blueprint contradicts itself
├── HandlerError            handler_error        a handler broke the rules of handlers
├── ConfigError             config_invalid       a setting is missing or wrong
└── StorageBroken           storage_broken       the storage failed in a way that cannot be repaired here
"""

__all__ = [
    "AlreadyOver",
    "AvtomatikaError",
    "BlueprintError",
    "ConfigError",
    "Conflict",
    "ContractViolation",
    "Forbidden",
    "HandlerError",
    "IntegrityError",
    "InvalidInput",
    "InvalidJson",
    "KeyReused",
    "NotFound",
    "Overloaded",
    "StorageBroken",
    "StorageFull",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
]


class AvtomatikaError(Exception):
    """Something went wrong that this package foresaw."""

    code = "error"

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.field = field
        super().__init__(self.message)


class InvalidInput(AvtomatikaError):
    """A value from outside breaks a rule."""

    code = "invalid_input"


class InvalidJson(InvalidInput):
    """The body is not JSON."""

    code = "invalid_json"


class ContractViolation(InvalidInput):
    """Input or result of a job is not as the contract of its blueprint says."""

    code = "contract_violation"


class NotFound(AvtomatikaError):
    """There is no such thing."""

    code = "not_found"


class Unauthorized(AvtomatikaError):
    """The request carries no valid credential."""

    code = "unauthorized"


class Forbidden(AvtomatikaError):
    """The credential is valid, but it does not go that far."""

    code = "forbidden"


class Conflict(AvtomatikaError):
    """The thing is not in a state that allows the request."""

    code = "conflict"


class AlreadyOver(Conflict):
    """The job has ended."""

    code = "already_over"


class KeyReused(Conflict):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"


class TooLarge(AvtomatikaError):
    """The payload is larger than allowed."""

    code = "payload_too_large"


class IntegrityError(AvtomatikaError):
    """The content of a file is not what was said of it."""

    code = "integrity_failed"


class Overloaded(AvtomatikaError):
    """Refused before acceptance: too much is waiting. Try later."""

    code = "overloaded"


class Unavailable(AvtomatikaError):
    """The promise of durability cannot be given now. Try later."""

    code = "unavailable"


class StorageFull(Unavailable):
    """The storage has no space left; nothing was accepted."""

    code = "storage_full"


class BlueprintError(AvtomatikaError):
    """A blueprint contradicts itself."""

    code = "blueprint_invalid"


class HandlerError(AvtomatikaError):
    """A handler broke the rules of handlers."""

    code = "handler_error"


class ConfigError(AvtomatikaError):
    """A setting is missing or wrong."""

    code = "config_invalid"


class StorageBroken(AvtomatikaError):
    """The storage failed in a way that cannot be repaired here."""

    code = "storage_broken"
