"""What a store promises about what it has accepted, in words that programs can read."""

import msgspec


class Durability(msgspec.Struct, frozen=True):
    """What a store promises about what it has accepted.

    `fsync` is `always`, `everysec`, `none` or `unknown`; `replicated` is the number of other machines that a
    commit is on before it is accepted. `accepted_loss_window_s` bounds what the end of the engine may take
    back; None where nothing is promised.
    """

    backend: str
    fsync: str
    accepted_loss_window_s: float | None
    replicated: int = 0
