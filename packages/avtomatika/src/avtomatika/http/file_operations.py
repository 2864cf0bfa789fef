"""The part of the table of the API that is about files. See `operations.py`."""

from typing import Final

from avtomatika.commands.file_links import PLACE
from avtomatika.errors import Forbidden, InvalidInput, NotFound, TooLarge
from avtomatika.http.files_api import BINARY, MAX_EXPIRES, FilesApi, FileUploaded, UploadUrl
from avtomatika.http.operation import (
    READS,
    WRITES,
    Answer,
    Body,
    Operation,
    Parameter,
    Place,
    Security,
    in_path,
    in_query,
)
from avtomatika.http.operations import JOB_ID

TAG: Final = "Files"
RULE: Final = "Steps with slashes between them, none of which leads elsewhere."
NAME: Final = in_path("filename", f"The name of the file. {RULE}", maxLength=800)
CONTENT: Final = Body({}, "The content of the file, as it is.", content_type=BINARY)
SIGNED: Final = (
    JOB_ID,
    NAME,
    in_query("expires", "From the link."),
    in_query("signature", "From the link."),
)
STORED: Final = Answer(FileUploaded, "The file is stored, in place of an earlier one.")

FILES: Final[tuple[Operation[FilesApi], ...]] = (
    Operation(
        id="makeUploadUrl",
        method="GET",
        path="/jobs/{job_id}/files/upload",
        call=FilesApi.upload_url,
        summary="A URL to upload a file to",
        description="Whoever has it may PUT the content there for a while, without a token.",
        tag=TAG,
        parameters=(
            JOB_ID,
            Parameter(
                "filename",
                Place.QUERY,
                {"type": "string", "minLength": 1, "maxLength": 800},
                f"The name of the file. {RULE}",
                required=True,
            ),
            in_query(
                "expires_in",
                "For how many seconds.",
                type="integer",
                minimum=1,
                maximum=MAX_EXPIRES,
                default=3_600,
            ),
        ),
        answers=(Answer(UploadUrl, "The URL."),),
        errors=(InvalidInput, NotFound, *WRITES),
    ),
    Operation(
        id="uploadFile",
        method="PUT",
        path="/jobs/{job_id}/files/content/{filename}",
        call=FilesApi.put,
        summary="Upload a file",
        tag=TAG,
        parameters=(JOB_ID, NAME),
        body=CONTENT,
        answers=(STORED,),
        errors=(InvalidInput, NotFound, TooLarge, *WRITES),
    ),
    Operation(
        id="downloadFile",
        method="GET",
        path="/jobs/{job_id}/files/download/{filename}",
        call=FilesApi.download,
        summary="Download a file",
        tag=TAG,
        parameters=(JOB_ID, NAME),
        answers=(Answer(None, "`Location` gives the file for 60 seconds.", 302, content_types=()),),
        errors=(InvalidInput, NotFound, *READS),
    ),
)

FILE_LINKS: Final[tuple[Operation[FilesApi], ...]] = (
    Operation(
        id="uploadByLink",
        method="PUT",
        path=f"{PLACE}/{{job_id}}/{{filename}}",
        call=FilesApi.put_by_link,
        summary="Upload a file by a link",
        description="What `makeUploadUrl` leads to, unless files are in an S3.",
        tag=TAG,
        security=Security.ANYBODY,
        parameters=SIGNED,
        body=CONTENT,
        answers=(STORED,),
        errors=(Forbidden, InvalidInput, NotFound, TooLarge, *WRITES),
    ),
    Operation(
        id="downloadByLink",
        method="GET",
        path=f"{PLACE}/{{job_id}}/{{filename}}",
        call=FilesApi.read_by_link,
        summary="Download a file by a link",
        description="What `downloadFile` leads to, unless files are in an S3.",
        tag=TAG,
        security=Security.ANYBODY,
        parameters=SIGNED,
        answers=(Answer(None, "The content of the file.", content_types=(BINARY,)),),
        errors=(Forbidden, InvalidInput, NotFound, *READS),
    ),
)
