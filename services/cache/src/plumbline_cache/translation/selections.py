"""What a person selects, from the contract and back."""

import json

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline_cache.domain.entry import require_question
from plumbline_cache.domain.withdrawal import Kind, Selection
from plumbline_kit.errors import Invalid


def selection_from_proto(request: pb.InvalidateEntriesRequest) -> Selection:
    """Raises `Invalid` for none, or one that names nothing."""
    match request.WhichOneof("selection"):
        case "document_id":
            return Selection(Kind.DOCUMENT, _require("document_id", request.document_id))
        case "erased_document_id":
            return Selection(Kind.ERASED_DOCUMENT, _require("erased_document_id", request.erased_document_id))
        case "entry_id":
            return Selection(Kind.ENTRY, _require("entry_id", request.entry_id))
        case "application_id":
            return Selection(Kind.APPLICATION, _require("application_id", request.application_id))
        case "release":
            application = _require("release.application_id", request.release.application_id)
            return Selection.release(application, _require("release.release_id", request.release.release_id))
        case "question":
            require_question(request.question)
            return Selection.question(request.question)
        case "all" if request.all:
            return Selection(Kind.TENANT)
        case _:
            raise Invalid.field("selection", "must be one of the selections; all must be true")


def selection_to_proto(selection: Selection) -> pb.InvalidateEntriesRequest:
    """The other way; a question comes back in its normal form."""
    name = selection.name
    match selection.kind:
        case Kind.DOCUMENT:
            return pb.InvalidateEntriesRequest(document_id=name)
        case Kind.ERASED_DOCUMENT:
            return pb.InvalidateEntriesRequest(erased_document_id=name)
        case Kind.ENTRY:
            return pb.InvalidateEntriesRequest(entry_id=name)
        case Kind.APPLICATION:
            return pb.InvalidateEntriesRequest(application_id=name)
        case Kind.RELEASE:
            application, release = json.loads(name)
            return pb.InvalidateEntriesRequest(release=ReleaseRef(application_id=application, release_id=release))
        case Kind.QUESTION:
            return pb.InvalidateEntriesRequest(question=name)
        case Kind.TENANT:
            return pb.InvalidateEntriesRequest(all=True)


def _require(field: str, value: str) -> str:
    if not value:
        raise Invalid.field(field, "is empty")
    return value
