"""Between the contract and the domain."""

import json

from plumbline.cache.v1.cache_service_pb2 import InvalidateEntriesRequest
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline_cache.domain.entry import require_question
from plumbline_cache.domain.withdrawal import Kind, Selection
from plumbline_kit.errors import Invalid


def selection_from_proto(request: InvalidateEntriesRequest) -> Selection:
    """Raises `Invalid` for none, or one that names nothing."""
    match request.WhichOneof("selection"):
        case "document_id":
            return Selection(Kind.DOCUMENT, _named("document_id", request.document_id))
        case "erased_document_id":
            return Selection(Kind.ERASED_DOCUMENT, _named("erased_document_id", request.erased_document_id))
        case "entry_id":
            return Selection(Kind.ENTRY, _named("entry_id", request.entry_id))
        case "application_id":
            return Selection(Kind.APPLICATION, _named("application_id", request.application_id))
        case "release":
            application = _named("release.application_id", request.release.application_id)
            return Selection.release(application, _named("release.release_id", request.release.release_id))
        case "question":
            require_question(request.question)
            return Selection.question(request.question)
        case "all" if request.all:
            return Selection(Kind.TENANT)
        case _:
            raise Invalid.field("selection", "must be one of the selections; all must be true")


def selection_to_proto(selection: Selection) -> InvalidateEntriesRequest:
    """The other way; a question comes back in its normal form."""
    name = selection.name
    match selection.kind:
        case Kind.DOCUMENT:
            return InvalidateEntriesRequest(document_id=name)
        case Kind.ERASED_DOCUMENT:
            return InvalidateEntriesRequest(erased_document_id=name)
        case Kind.ENTRY:
            return InvalidateEntriesRequest(entry_id=name)
        case Kind.APPLICATION:
            return InvalidateEntriesRequest(application_id=name)
        case Kind.RELEASE:
            application, release = json.loads(name)
            return InvalidateEntriesRequest(release=ReleaseRef(application_id=application, release_id=release))
        case Kind.QUESTION:
            return InvalidateEntriesRequest(question=name)
        case Kind.TENANT:
            return InvalidateEntriesRequest(all=True)


def _named(field: str, value: str) -> str:
    if not value:
        raise Invalid.field(field, "is empty")
    return value
