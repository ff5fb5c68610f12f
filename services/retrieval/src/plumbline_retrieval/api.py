"""gRPC in: translate, call the use case, translate back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1 import retrieval_service_pb2_grpc as pb_grpc
from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid
from plumbline_kit.rpc import current_call
from plumbline_kit.telemetry import annotate, names
from plumbline_retrieval.domain.content import MAX_FILE_BYTES, File
from plumbline_retrieval.domain.document import PassageRef
from plumbline_retrieval.handlers.documents import (
    DeleteDocument,
    FileDocument,
    GetDocument,
    ListDocuments,
    RecordFacts,
    SubmitDocument,
    SubmitFile,
    WaitForDocument,
)
from plumbline_retrieval.handlers.generations import Generations, SwitchGeneration
from plumbline_retrieval.handlers.registry import ConfirmSource, ListSources, PutSource
from plumbline_retrieval.handlers.search import SearchPassages, VerifySources
from plumbline_retrieval.translation import (
    document_from,
    fact_from,
    passage_message,
    query_from,
    ref_message,
    source_from,
    source_message,
    status_message,
    timestamp,
)

SERVICE: Final = "/plumbline.retrieval.v1.RetrievalService/"
SCOPES: Final = {
    f"{SERVICE}SubmitDocument": "documents.write",
    f"{SERVICE}SubmitFile": "documents.write",
    f"{SERVICE}DeleteDocument": "documents.write",
    f"{SERVICE}GetDocument": "documents.read|documents.write",
    f"{SERVICE}ListDocuments": "documents.read",
    f"{SERVICE}WaitForDocument": "documents.read|documents.write",
    f"{SERVICE}SearchPassages": "documents.read|ask",
    f"{SERVICE}VerifySources": "documents.read|ask",
    f"{SERVICE}PutSource": "documents.write",
    f"{SERVICE}ListSources": "documents.read|documents.write",
    f"{SERVICE}ConfirmSource": "documents.write",
    f"{SERVICE}RecordFacts": "documents.write",
    f"{SERVICE}ListGenerations": "documents.read|index.write",
    f"{SERVICE}SwitchGeneration": "index.write",
}
DEFAULT_PAGE: Final = 100
STANDS_FOR_THE_FILE: Final = "x"


@dataclass(frozen=True)
class UseCases:
    """What can be done with a generation of the index, and with the corpus."""

    submit: SubmitDocument
    submit_file: SubmitFile
    delete: DeleteDocument
    get: GetDocument
    list: ListDocuments
    wait: WaitForDocument
    search: SearchPassages
    verify: VerifySources
    put_source: PutSource
    list_sources: ListSources
    confirm_source: ConfirmSource
    record_facts: RecordFacts


class RetrievalService(pb_grpc.RetrievalServiceServicer):
    """The rpcs of the contract, each on the generation that answers when it is called."""

    def __init__(self, generations: Generations[UseCases], clock: Clock) -> None:
        self._generations = generations
        self._switch = SwitchGeneration(generations, clock)
        self._clock = clock

    @property
    def _uses(self) -> UseCases:
        return self._generations.serving.uses

    async def SubmitDocument(self, request: pb.SubmitDocumentRequest, context: Any) -> pb.SubmitDocumentResponse:
        """See the contract."""
        version = await self._uses.submit(current_call().identity, document_from(request.document))
        _annotate(request.document.document_id, version)
        return pb.SubmitDocumentResponse(version=version)

    async def SubmitFile(self, requests: AsyncIterator[pb.SubmitFileRequest], context: Any) -> pb.SubmitFileResponse:
        """See the contract."""
        sent = await _received(requests)
        version, content = await self._uses.submit_file(current_call().identity, sent)
        _annotate(sent.document.document_id, version)
        title = sent.document.title or content.title
        return pb.SubmitFileResponse(version=version, title=title, media_type=content.media_type, notes=content.notes)

    async def DeleteDocument(self, request: pb.DeleteDocumentRequest, context: Any) -> pb.DeleteDocumentResponse:
        """See the contract."""
        version = await self._uses.delete(current_call().identity, request.document_id)
        _annotate(request.document_id, version)
        return pb.DeleteDocumentResponse(version=version)

    async def GetDocument(self, request: pb.GetDocumentRequest, context: Any) -> pb.GetDocumentResponse:
        """See the contract."""
        status = await self._uses.get(current_call().identity, request.document_id)
        _annotate(request.document_id, status.head.version)
        return pb.GetDocumentResponse(status=status_message(status))

    async def ListDocuments(self, request: pb.ListDocumentsRequest, context: Any) -> pb.ListDocumentsResponse:
        """See the contract."""
        statuses, following = await self._uses.list(
            current_call().identity, request.source_id, request.page_size or DEFAULT_PAGE, request.page_token
        )
        documents = [status_message(status) for status in statuses]
        for document in documents:
            document.ClearField("history")
        return pb.ListDocumentsResponse(documents=documents, next_page_token=following)

    async def WaitForDocument(self, request: pb.WaitForDocumentRequest, context: Any) -> pb.WaitForDocumentResponse:
        """See the contract."""
        _annotate(request.document_id, request.version)
        while True:
            generation = self._generations.serving
            status = await generation.uses.wait(current_call().identity, request.document_id, request.version)
            if generation is self._generations.serving:  # else the next search is asked of another one
                return pb.WaitForDocumentResponse(status=status_message(status))

    async def SearchPassages(self, request: pb.SearchPassagesRequest, context: Any) -> pb.SearchPassagesResponse:
        """See the contract."""
        given = request.HasField("embedding")
        generation = self._generations.named(request.index_generation)
        result = await generation.uses.search(
            current_call().identity,
            query_from(request),
            np.array(request.embedding.values, np.float32) if given else None,
            request.embedding.encoder_id,
        )
        annotate({names.PASSAGE_COUNT: len(result.found)})
        return pb.SearchPassagesResponse(
            passages=[passage_message(each) for each in result.found],
            index_generation=generation.id,
            support=result.support,
        )

    async def VerifySources(self, request: pb.VerifySourcesRequest, context: Any) -> pb.VerifySourcesResponse:
        """See the contract."""
        sources = [PassageRef(each.document_id, each.version, each.passage_hash) for each in request.sources]
        changed = await self._uses.verify(current_call().identity, sources)
        return pb.VerifySourcesResponse(changed_sources=[ref_message(each) for each in changed])

    async def PutSource(self, request: pb.PutSourceRequest, context: Any) -> pb.PutSourceResponse:
        """See the contract."""
        await self._uses.put_source(current_call().identity, source_from(request.source))
        return pb.PutSourceResponse()

    async def ListSources(self, request: pb.ListSourcesRequest, context: Any) -> pb.ListSourcesResponse:
        """See the contract."""
        sources = await self._uses.list_sources(current_call().identity)
        return pb.ListSourcesResponse(sources=[source_message(source) for source in sources])

    async def ConfirmSource(self, request: pb.ConfirmSourceRequest, context: Any) -> pb.ConfirmSourceResponse:
        """See the contract."""
        at = await self._uses.confirm_source(current_call().identity, request.source_id)
        return pb.ConfirmSourceResponse(as_of_time=timestamp(at))

    async def RecordFacts(self, request: pb.RecordFactsRequest, context: Any) -> pb.RecordFactsResponse:
        """See the contract."""
        now = self._clock.now()
        recorded = await self._uses.record_facts(
            current_call().identity, [fact_from(fact, now) for fact in request.facts]
        )
        return pb.RecordFactsResponse(
            recorded=[pb.RecordedFact(document_id=name, version=version) for name, version in recorded]
        )

    async def ListGenerations(self, request: pb.ListGenerationsRequest, context: Any) -> pb.ListGenerationsResponse:
        """See the contract."""
        serving = self._generations.serving
        return pb.ListGenerationsResponse(
            generations=[
                pb.IndexGeneration(
                    index_generation=each.id,
                    description=each.description,
                    serving=each is serving,
                    complete=each.readiness.complete,
                    behind=each.behind(),
                )
                for each in self._generations.kept
            ]
        )

    async def SwitchGeneration(self, request: pb.SwitchGenerationRequest, context: Any) -> pb.SwitchGenerationResponse:
        """See the contract."""
        if not request.index_generation:
            raise Invalid.field("index_generation", "must name the generation that is to answer")
        previous = await self._switch(request.index_generation)
        return pb.SwitchGenerationResponse(previous_generation=previous)


async def _received(requests: AsyncIterator[pb.SubmitFileRequest]) -> FileDocument:
    """The whole file. Raises `Invalid` for one that is too large, and for messages in a wrong order.

    All of it is read in any case: a Python client whose call ends while it sends reports INTERNAL and no reason.
    """
    header: pb.FileHeader | None = None
    data, size, in_order = bytearray(), 0, True
    async for request in requests:
        in_order &= (request.WhichOneof("part") == "header") is (header is None)
        if header is None:
            header = request.header
            continue
        size += len(request.data)
        if size <= MAX_FILE_BYTES:
            data += request.data
    if header is None or not in_order:
        raise Invalid.field("part", "must be the header in the first message and data in all others")
    if size > MAX_FILE_BYTES:
        raise Invalid.field("file", f"has {size:,} bytes; at most {MAX_FILE_BYTES:,} are allowed: split it")
    return FileDocument(document_from(_described(header)), File(header.file_name, bytes(data), header.media_type))


def _described(header: pb.FileHeader) -> pb.Document:
    document = pb.Document(
        document_id=header.document_id,
        title=header.title,
        text=STANDS_FOR_THE_FILE,
        url=header.url,
        groups=header.groups,
        source_id=header.source_id,
        metadata=header.metadata,
        language=header.language,
    )
    if header.HasField("content_time"):
        document.content_time.CopyFrom(header.content_time)
    return document


def _annotate(document_id: str, version: int) -> None:
    annotate({names.DOCUMENT_ID: document_id, names.DOCUMENT_VERSION: version})
