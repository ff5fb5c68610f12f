"""Every name that spans, metrics and logs use: ours here, the standard ones by OpenTelemetry's conventions."""

from typing import Final

from opentelemetry.semconv._incubating.attributes import (
    gen_ai_attributes,
    messaging_attributes,
    rpc_attributes,
)
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import error_attributes, server_attributes, service_attributes

SERVICE_NAME: Final = service_attributes.SERVICE_NAME
SERVICE_VERSION: Final = service_attributes.SERVICE_VERSION
SERVICE_INSTANCE_ID: Final = "service.instance.id"
ERROR_TYPE: Final = error_attributes.ERROR_TYPE

RPC_SYSTEM: Final = rpc_attributes.RPC_SYSTEM_NAME
RPC_METHOD: Final = rpc_attributes.RPC_METHOD
RPC_STATUS: Final = rpc_attributes.RPC_RESPONSE_STATUS_CODE
RPC_SERVER_DURATION: Final = rpc_metrics.RPC_SERVER_CALL_DURATION
RPC_CLIENT_DURATION: Final = rpc_metrics.RPC_CLIENT_CALL_DURATION

MESSAGING_SYSTEM: Final = messaging_attributes.MESSAGING_SYSTEM
MESSAGING_OPERATION_NAME: Final = messaging_attributes.MESSAGING_OPERATION_NAME
MESSAGING_OPERATION_TYPE: Final = messaging_attributes.MESSAGING_OPERATION_TYPE
MESSAGING_DESTINATION: Final = messaging_attributes.MESSAGING_DESTINATION_NAME
MESSAGING_PARTITION: Final = messaging_attributes.MESSAGING_DESTINATION_PARTITION_ID
MESSAGING_GROUP: Final = messaging_attributes.MESSAGING_CONSUMER_GROUP_NAME
MESSAGING_MESSAGE_ID: Final = messaging_attributes.MESSAGING_MESSAGE_ID
MESSAGING_KEY: Final = messaging_attributes.MESSAGING_KAFKA_MESSAGE_KEY
MESSAGING_OFFSET: Final = messaging_attributes.MESSAGING_KAFKA_OFFSET
MESSAGING_TOMBSTONE: Final = messaging_attributes.MESSAGING_KAFKA_MESSAGE_TOMBSTONE
MESSAGING_PROCESS_DURATION: Final = "messaging.process.duration"
MESSAGING_SEND_DURATION: Final = "messaging.client.operation.duration"
RECORD_FAILURES: Final = "plumbline.record.failures"
CONSUMER_LAG: Final = "plumbline.consumer.lag"

SERVER_ADDRESS: Final = server_attributes.SERVER_ADDRESS
SERVER_PORT: Final = server_attributes.SERVER_PORT
GEN_AI_OPERATION: Final = gen_ai_attributes.GEN_AI_OPERATION_NAME
GEN_AI_PROVIDER: Final = gen_ai_attributes.GEN_AI_PROVIDER_NAME
GEN_AI_REQUEST_MODEL: Final = gen_ai_attributes.GEN_AI_REQUEST_MODEL
GEN_AI_REQUEST_TEMPERATURE: Final = gen_ai_attributes.GEN_AI_REQUEST_TEMPERATURE
GEN_AI_REQUEST_SEED: Final = gen_ai_attributes.GEN_AI_REQUEST_SEED
GEN_AI_REQUEST_MAX_TOKENS: Final = gen_ai_attributes.GEN_AI_REQUEST_MAX_TOKENS
GEN_AI_RESPONSE_MODEL: Final = gen_ai_attributes.GEN_AI_RESPONSE_MODEL
GEN_AI_FINISH_REASONS: Final = gen_ai_attributes.GEN_AI_RESPONSE_FINISH_REASONS
GEN_AI_TIME_TO_FIRST_CHUNK: Final = gen_ai_attributes.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK
GEN_AI_INPUT_TOKENS: Final = gen_ai_attributes.GEN_AI_USAGE_INPUT_TOKENS
GEN_AI_OUTPUT_TOKENS: Final = gen_ai_attributes.GEN_AI_USAGE_OUTPUT_TOKENS

REQUEST_ID: Final = "plumbline.request.id"
TENANT_ID: Final = "plumbline.tenant.id"
APPLICATION_ID: Final = "plumbline.application.id"
RELEASE_ID: Final = "plumbline.release.id"
ANSWER_ID: Final = "plumbline.answer.id"
ANSWER_ORIGIN: Final = "plumbline.answer.origin"
ANSWER_OUTCOME: Final = "plumbline.answer.outcome"
ANSWER_ATTEMPTS: Final = "plumbline.answer.attempts"
"""Each "endpoint: outcome", in order."""
MODEL_ENDPOINT: Final = "plumbline.model.endpoint"
MODEL_ATTEMPT_OUTCOME: Final = "plumbline.model.attempt_outcome"
MODEL_ATTEMPTS: Final = "plumbline.generation.model_attempts"
MODEL_COST: Final = "plumbline.generation.model_cost"
CURRENCY: Final = "plumbline.currency"
BUDGET_TOKENS_USED: Final = "plumbline.generation.budget_tokens_used"
BUDGET_TOKENS_LEFT: Final = "plumbline.generation.budget_tokens_left"
BUDGET_UNCHECKED: Final = "plumbline.generation.budget_unchecked"
BREAKER_STATE: Final = "plumbline.generation.breaker_state"
CONVERSATION_TURNS: Final = "plumbline.conversation.turns"
CONDENSATION_METHOD: Final = "plumbline.conversation.method"
CACHED_ANSWER_ID: Final = "plumbline.answer.cached_id"
COALESCED_WITH: Final = "plumbline.answer.coalesced_with"
DOCUMENT_ID: Final = "plumbline.document.id"
DOCUMENT_VERSION: Final = "plumbline.document.version"
PASSAGE_COUNT: Final = "plumbline.passage.count"
GUARD_OUTCOME: Final = "plumbline.guard.outcome"
GUARD_FINDINGS: Final = "plumbline.guard.findings"
GROUNDING_POLICY: Final = "plumbline.grounding.policy"
GROUNDING_COUNTS: Final = "plumbline.grounding.counts"
"""Each "status: sentences", and "withheld" and "replaced"."""
CLAIM_STATUS: Final = "plumbline.claim.status"
SENTENCES: Final = "plumbline.generation.sentences"
SENTENCES_WITHHELD: Final = "plumbline.generation.sentences_withheld"
SENTENCES_REPLACED: Final = "plumbline.generation.sentences_replaced"
GUARD: Final = "plumbline.guard.name"
GUARD_OUTCOMES: Final = "plumbline.guard.outcomes"
"""Each "guard: outcome", in order."""
GUARD_DROPPED_PASSAGES: Final = "plumbline.guard.dropped_passages"
GUARD_RESULTS: Final = "plumbline.generation.guard_results"
ENCODED_QUESTIONS: Final = "plumbline.encoder.questions"
REMEMBERED: Final = "plumbline.encoder.remembered"
"""Whether a question's vector was known or under way when it was asked for."""
CACHE_ENTRY_ID: Final = "plumbline.cache.entry_id"
CACHE_TIER: Final = "plumbline.cache.tier"
CACHE_SIMILARITY: Final = "plumbline.cache.similarity"
CACHE_MISS_REASON: Final = "plumbline.cache.miss_reason"
CACHE_REFUSAL: Final = "plumbline.cache.refusal"
CACHE_ADMISSIONS: Final = "plumbline.cache.admissions"
CACHE_LOOKUPS: Final = "plumbline.cache.lookups"
CACHE_INVALIDATIONS: Final = "plumbline.cache.invalidations"
CACHE_INVALIDATION_CAUSE: Final = "plumbline.cache.invalidation_cause"
CACHE_SAVED_TOKENS: Final = "plumbline.cache.saved_tokens"
CACHE_SAVED_TIME: Final = "plumbline.cache.saved_time"
CACHE_SAVED_COST: Final = "plumbline.cache.saved_cost"
AUDITS: Final = "plumbline.gateway.audits"
AUDIT_OUTCOME: Final = "plumbline.audit.outcome"
CACHE_SCOPE: Final = "plumbline.cache.scope"
"""Hash of who shares entries."""
CACHE_AUDITS: Final = "plumbline.cache.audits"
CACHE_AUDITED_HITS: Final = "plumbline.cache.audited_hits"
CACHE_FALSE_HITS_LOW: Final = "plumbline.cache.false_hits_low"
CACHE_FALSE_HITS_HIGH: Final = "plumbline.cache.false_hits_high"
CACHE_SWITCHED_OFF: Final = "plumbline.cache.switched_off"
VERDICT: Final = "plumbline.evaluation.verdict"
EVALUATION_ID: Final = "plumbline.evaluation.id"

EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
"""The event that carries one measure of one answer."""
EVALUATION_NAME: Final = gen_ai_attributes.GEN_AI_EVALUATION_NAME
EVALUATION_SCORE_VALUE: Final = gen_ai_attributes.GEN_AI_EVALUATION_SCORE_VALUE
EVALUATION_SCORE_LABEL: Final = gen_ai_attributes.GEN_AI_EVALUATION_SCORE_LABEL
EVALUATION_EXPLANATION: Final = gen_ai_attributes.GEN_AI_EVALUATION_EXPLANATION
