"""gRPC in: translate, call the use case, translate back."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from plumbline.common.v1 import answer_pb2 as common
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1 import retrieval_service_pb2_grpc as pb_grpc
from plumbline_kit.rpc import current_call
from plumbline_kit.telemetry import annotate, names
from plumbline_retrieval.domain.document import Document, Found, Head, PassageRef, State
from plumbline_retrieval.domain.ranking import DEFAULT_PASSAGES, Query
from plumbline_retrieval.handlers.documents import DeleteDocument, GetDocument, SubmitDocument, WaitForDocument
from plumbline_retrieval.handlers.search import SearchPassages, VerifySources

SERVICE: Final = "/plumbline.retrieval.v1.RetrievalService/"
SCOPES: Final = {
    f"{SERVICE}SubmitDocument": "documents.write",
    f"{SERVICE}DeleteDocument": "documents.write",
    f"{SERVICE}GetDocument": "documents.read|documents.write",
    f"{SERVICE}WaitForDocument": "documents.read|documents.write",
    f"{SERVICE}SearchPassages": "documents.read|ask",
    f"{SERVICE}VerifySources": "documents.read|ask",
}
STATES: Final = {
    State.LIVE: pb.DOCUMENT_STATE_LIVE,
    State.DELETED: pb.DOCUMENT_STATE_DELETED,
    State.REJECTED: pb.DOCUMENT_STATE_REJECTED,
}


@dataclass(frozen=True)
class RetrievalService(pb_grpc.RetrievalServiceServicer):
    """The rpcs of the contract."""

    submit: SubmitDocument
    delete: DeleteDocument
    get: GetDocument
    wait: WaitForDocument
    search: SearchPassages
    verify: VerifySources

    async def SubmitDocument(self, request: pb.SubmitDocumentRequest, context: Any) -> pb.SubmitDocumentResponse:
        """See the contract."""
        version = await self.submit(current_call().identity, document_from(request.document))
        _annotate(request.document.document_id, version)
        return pb.SubmitDocumentResponse(version=version)

    async def DeleteDocument(self, request: pb.DeleteDocumentRequest, context: Any) -> pb.DeleteDocumentResponse:
        """See the contract."""
        version = await self.delete(current_call().identity, request.document_id)
        _annotate(request.document_id, version)
        return pb.DeleteDocumentResponse(version=version)

    async def GetDocument(self, request: pb.GetDocumentRequest, context: Any) -> pb.GetDocumentResponse:
        """See the contract."""
        head = await self.get(current_call().identity, request.document_id)
        _annotate(request.document_id, head.version)
        return pb.GetDocumentResponse(status=_status(head))

    async def WaitForDocument(self, request: pb.WaitForDocumentRequest, context: Any) -> pb.WaitForDocumentResponse:
        """See the contract."""
        _annotate(request.document_id, request.version)
        head = await self.wait(current_call().identity, request.document_id, request.version)
        return pb.WaitForDocumentResponse(status=_status(head))

    async def SearchPassages(self, request: pb.SearchPassagesRequest, context: Any) -> pb.SearchPassagesResponse:
        """See the contract."""
        given = request.HasField("embedding")
        found = await self.search(
            current_call().identity,
            Query(request.query, request.page_size or DEFAULT_PASSAGES),
            np.array(request.embedding.values, np.float32) if given else None,
            request.embedding.encoder_id,
        )
        annotate({names.PASSAGE_COUNT: len(found)})
        return pb.SearchPassagesResponse(passages=[_passage(each) for each in found])

    async def VerifySources(self, request: pb.VerifySourcesRequest, context: Any) -> pb.VerifySourcesResponse:
        """See the contract."""
        sources = [PassageRef(each.document_id, each.version, each.passage_hash) for each in request.sources]
        changed = await self.verify(current_call().identity, sources)
        return pb.VerifySourcesResponse(changed_sources=[_ref(each) for each in changed])


def document_from(document: pb.Document) -> Document:
    """Raises `Invalid`."""
    return Document(
        document.document_id, document.title, document.text, document.url, tuple(sorted(set(document.groups)))
    )


def _annotate(document_id: str, version: int) -> None:
    annotate({names.DOCUMENT_ID: document_id, names.DOCUMENT_VERSION: version})


def _status(head: Head) -> pb.DocumentStatus:
    status = pb.DocumentStatus(
        document_id=head.key.document_id,
        version=head.version,
        state=STATES[head.state],
        title=head.title,
        passage_count=len(head.passage_hashes),
        reason=head.reason,
    )
    status.index_time.FromDatetime(head.time)
    return status


def _ref(ref: PassageRef) -> common.PassageRef:
    return common.PassageRef(document_id=ref.document_id, version=ref.version, passage_hash=ref.passage_hash)


def _passage(found: Found) -> common.Passage:
    return common.Passage(
        ref=_ref(found.ref),
        title=found.title,
        url=found.url,
        text=found.text,
        start_offset=found.start,
        end_offset=found.end,
        score=found.score,
    )
