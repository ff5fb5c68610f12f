"""What each process of the platform is told: the one place that turns a layout into environment variables."""

from plumbline_kit.addresses import HOST
from plumbline_local.issuer import AUDIENCE, ISSUER
from plumbline_local.layout import Layout
from plumbline_local.postgres import DATABASES


def service_environment(layout: Layout, service: str) -> dict[str, str]:
    """The variables of *service* (and of the trace store), all of them addresses and places of *layout*."""
    return _own(layout, service) | _shared(layout)


def _own(layout: Layout, service: str) -> dict[str, str]:
    own = {"HOST": HOST, "PORT": str(layout.ports[service]), "STATE_DIR": str(layout.data(service))}
    return own | ({"POSTGRES_DSN": layout.postgres_dsn(service)} if service in DATABASES else {})


def _shared(layout: Layout) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": layout.address("kafka"),
        "AUTH_JWKS": str(layout.auth / "jwks.json"),
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": layout.address("traces"),
        "RELEASE_FILE": str(layout.release_file),
        "ENCODER_DIR": str(layout.encoder),
        "RETRIEVAL_ADDRESS": layout.address("retrieval"),
        "GENERATION_ADDRESS": layout.address("generation"),
        "CACHE_ADDRESS": layout.address("cache"),
        "EVALUATION_ADDRESS": layout.address("evaluation"),
        "LLM_BASE_URL": f"http://{layout.address('llm')}/v1",
        "LLM_JSON_SCHEMA": "on",
        "OPENBLAS_NUM_THREADS": "1",  # for products as small as ours its threads spin longer than they work
    }
