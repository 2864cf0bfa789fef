"""The parts that keep what jobs have beside their data: files, and values that are too large for it."""

from collections.abc import Callable

import msgspec

from avtomatika.app.backends import open_blobs
from avtomatika.commands.decide import Beside
from avtomatika.commands.file_links import FileLinks
from avtomatika.commands.job_files import FilePolicy, JobFiles
from avtomatika.commands.large_values import LargeValues
from avtomatika.ports.node import NodeContext
from avtomatika.settings.files import FileSettings


class FileSide(msgspec.Struct, frozen=True):
    """Files of jobs, links to them, and their large values, unless jobs are in memory with all they have."""

    files: JobFiles
    links: FileLinks
    values: LargeValues | None

    @property
    def beside(self) -> Beside:
        """What handlers get of it."""
        return Beside(self.files.of, self.values)


def file_side(node: NodeContext, wanted: FileSettings, secret: str, base: Callable[[], str]) -> FileSide:
    """The parts, of a node that others reach at *base*; *secret* is what its links are made with."""
    blobs, links = open_blobs(wanted), FileLinks(node.clock, secret, base)
    files = JobFiles(node, blobs, wanted.local, links, FilePolicy(wanted.keep, wanted.most))
    on_disk = wanted.s3 is not None or wanted.folder is not None
    values = LargeValues(blobs, node.clock, wanted.most_inside, files.note) if on_disk else None
    return FileSide(files, links, values)
