"""The file that a task made, as an answer."""

from django.http import StreamingHttpResponse

from common import jobs
from common.models import Job
from gateway.jobs.kinds import KINDS


def file_response(job: Job) -> StreamingHttpResponse:
    """Never as a whole in memory."""
    headers = {
        "Content-Disposition": f'attachment; filename="{job.file_name}"',
        "Content-Length": str(job.file_size),
        "Cache-Control": "no-store",
    }
    content_type = f"{KINDS[job.kind].file_type}; charset=utf-8"
    return StreamingHttpResponse(jobs.read_file(job), headers=headers, content_type=content_type)
