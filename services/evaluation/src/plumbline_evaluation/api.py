"""gRPC in: translate, call the use case, translate back."""

from typing import Final

import grpc

from plumbline.evaluation.v1 import evaluation_service_pb2 as pb
from plumbline.evaluation.v1.evaluation_service_pb2_grpc import EvaluationServiceServicer
from plumbline_evaluation.handlers import EvaluateAnswer, GetEvaluation
from plumbline_evaluation.translation import answer_from_proto, evaluation_to_proto
from plumbline_kit.errors import Invalid
from plumbline_kit.rpc import current_call
from plumbline_kit.telemetry import annotate, names

SCOPES: Final = {
    "/plumbline.evaluation.v1.EvaluationService/EvaluateAnswer": "evaluate",
    "/plumbline.evaluation.v1.EvaluationService/GetEvaluation": "evaluate",
}


class EvaluationService(EvaluationServiceServicer):
    """The contract's rpcs."""

    def __init__(self, evaluate: EvaluateAnswer, get: GetEvaluation) -> None:
        self._evaluate = evaluate
        self._get = get

    async def EvaluateAnswer(
        self,
        request: pb.EvaluateAnswerRequest,
        context: "grpc.aio.ServicerContext[pb.EvaluateAnswerRequest, pb.EvaluateAnswerResponse]",
    ) -> pb.EvaluateAnswerResponse:
        """Measure now; keep and publish nothing."""
        for field, text in (("question", request.question), ("answer.text", request.answer.text)):
            if not text.strip():
                raise Invalid.field(field, "is empty")
        evaluation = await self._evaluate(request.question, answer_from_proto(request.answer))
        return pb.EvaluateAnswerResponse(evaluation=evaluation_to_proto(evaluation))

    async def GetEvaluation(
        self,
        request: pb.GetEvaluationRequest,
        context: "grpc.aio.ServicerContext[pb.GetEvaluationRequest, pb.GetEvaluationResponse]",
    ) -> pb.GetEvaluationResponse:
        """What was measured of one of the caller's answers."""
        annotate({names.ANSWER_ID: request.answer_id})
        evaluation = await self._get(current_call().identity.tenant, request.answer_id)
        return pb.GetEvaluationResponse(evaluation=evaluation_to_proto(evaluation))
