"""The architecture page shows the topic table as the code has it."""

from pathlib import Path

from plumbline_contracts.topics import TOPICS

PAGE = Path("docs/architecture.md")
BEGIN, END = "<!-- topics: begin -->\n", "<!-- topics: end -->"
HEAD = "| topic | message | key | partitions | kept |\n|---|---|---|---|---|\n"


def topic_table() -> str:
    """The table of topics, in Markdown."""
    rows = []
    for topic in TOPICS:
        kept = "compacted, for ever" if topic.compacted else f"{topic.retention.days} days"
        rows.append(f"| `{topic.name}` | {topic.message.__name__} | {topic.key} | {topic.partitions} | {kept} |\n")
    return HEAD + "".join(rows)


def test_the_topic_table_on_the_page_is_the_one_in_the_code() -> None:
    shown = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert shown == topic_table(), f"the table in {PAGE} should read:\n{topic_table()}"
